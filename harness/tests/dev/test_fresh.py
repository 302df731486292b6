"""harness/dev/fresh.sh without a network: what it refuses, and a whole run with debootstrap and the
system that it makes faked. The real thing is `make fresh RELEASE=trixie`.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.paths import ROOT

FRESH = ROOT / "harness" / "dev" / "fresh.sh"
SETUP = ROOT / "harness" / "setup.sh"
BASE = "bash cp dirname env grep mkdir mktemp rm sed tail".split()

# Makes what the script then looks for in the new system.
DEBOOTSTRAP = """#!/usr/bin/env bash
echo "debootstrap $*" >>"$LOG"
[[ -z ${DEBOOTSTRAP_BREAKS:-} ]] || { echo "E: no network" >&2; exit 1; }
mkdir -p "${@: -1}/etc/ssl/certs"
"""
# In place of the namespace: says which command it is, and ends as it is told to.
UNSHARE = """#!/usr/bin/env bash
echo "inside ${*: -1}; $*" >>"$LOG"
case $* in *"make demo"*) echo demo ;; *"make test"*)
    echo "SKIPPED [2] scenarios/test_pool.py: only qemu<9"
    echo "===== 1 failed, 40 passed, 2 skipped in 3.00s ====="
    exit "${TEST_STATUS:-0}" ;;
esac
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap needs root, and it says so")


class Machine:
    """A PATH with the few tools that the script uses and the fakes, and where it makes a system."""

    def __init__(self, root: Path) -> None:
        self.bin, self.log, self.made = root / "bin", root / "log", root / "made"
        self.knows = root / "debootstrap" / "scripts"
        for folder in (self.bin, self.made, self.knows):
            folder.mkdir(parents=True)
        for tool in BASE:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        for name, text in {
            "debootstrap": DEBOOTSTRAP,
            "unshare": UNSHARE,
            "git": '#!/usr/bin/env bash\necho "git $*" >>"$LOG"\n',
        }.items():
            (self.bin / name).write_text(text, "utf-8")
            (self.bin / name).chmod(0o755)
        for release in ("trixie", "sid"):
            (self.knows / release).touch()
        self.environment = {
            "PATH": str(self.bin),
            "LOG": str(self.log),
            "TMPDIR": str(self.made),
            "FRESH_KEEP": str(root / "kept"),
            "DEBOOTSTRAP_DIR": str(self.knows.parent),
        }

    def run(self, *arguments: str, **variables: str) -> tuple[int, str]:
        done = subprocess.run(
            [str(FRESH), *arguments],
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
            check=False,
        )
        return done.returncode, done.stdout

    def logged(self) -> str:
        return self.log.read_text("utf-8") if self.log.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("release", ["", "13", "../etc", "trixie sid"])
def test_what_is_no_name_is_refused(machine: Machine, release: str) -> None:
    status, output = machine.run(release)
    assert status == 1
    assert "is no name of a Debian release" in output
    assert "type: make fresh RELEASE=trixie" in output
    assert not machine.logged()


@pytest.mark.skipif(os.geteuid() == 0, reason="this is root")
def test_without_root_it_says_what_to_type(machine: Machine) -> None:
    assert machine.run("trixie") == (
        1,
        "fresh: debootstrap and chroot need root\nfresh: type: sudo make fresh RELEASE=trixie\n",
    )


@as_root
def test_a_release_that_debootstrap_does_not_know(machine: Machine) -> None:
    status, output = machine.run("potato")
    assert (status, machine.logged()) == (1, "")
    assert "debootstrap does not know potato" in output
    assert "it knows: trixie sid" in output


@as_root
def test_without_debootstrap_it_says_what_to_install(machine: Machine) -> None:
    (machine.bin / "debootstrap").unlink()
    status, output = machine.run("trixie")
    assert status == 1
    assert "type: apt-get install debootstrap" in output


@as_root
def test_it_runs_the_two_commands_and_prints_the_table(machine: Machine) -> None:
    status, output = machine.run("trixie")
    assert status == 0, output
    assert re.search(r"^trixie +make demo +ok +\d+ s", output, re.M)
    assert re.search(r"^trixie +make test +ok +\d+ s +1 failed, 40 passed, 2 skipped", output, re.M)
    assert "SKIPPED [2] scenarios/test_pool.py: only qemu<9" in output
    assert "removed at the end" in output
    assert not any(machine.made.iterdir()), "the system is gone"
    logged = machine.logged()
    assert "debootstrap --variant=minbase --include=git,make,ca-certificates trixie" in logged
    assert "git clone --quiet ." in logged
    assert logged.index("make demo") < logged.index("make test")


@as_root
def test_a_command_that_fails_is_told_and_its_log_is_kept(machine: Machine) -> None:
    status, output = machine.run("trixie", TEST_STATUS="2")
    assert status == 1
    assert re.search(r"^trixie +make test +FAILED", output, re.M)
    kept = re.findall(r"^logs: (.*)$", output, re.M)
    assert "40 passed" in (Path(kept[0]) / "make-test.log").read_text("utf-8")
    assert not any(machine.made.iterdir())


@as_root
def test_a_debootstrap_that_fails_leaves_nothing(machine: Machine) -> None:
    status, output = machine.run("trixie", DEBOOTSTRAP_BREAKS="yes")
    assert status == 1
    assert "debootstrap failed; its log: " in output
    assert not any(machine.made.iterdir())


def test_every_package_that_set_up_asks_for_has_that_name_here() -> None:
    """One unknown name, and apt installs nothing. Of this release; the others by make fresh."""
    rows = re.search(r"^needs=\(\n(.*?)^\)", SETUP.read_text("utf-8"), re.S | re.M)
    assert rows
    packages = re.findall(r' : (\S+)"', rows[1])
    assert len(packages) > 8
    if not shutil.which("apt-cache"):
        pytest.skip("no apt here")
    told = subprocess.run(
        ["apt-cache", "policy", *packages], capture_output=True, text=True, check=True
    ).stdout
    candidates = re.findall(r"^(\S+):\n.*\n  Candidate: (\S+)$", told, re.M)
    if all(version == "(none)" for _, version in candidates):
        pytest.skip("apt has no lists of packages here")
    assert {name for name, version in candidates if version != "(none)"} == set(packages)
