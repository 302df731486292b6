"""harness/setup.sh in a tree of its own, with every tool that it calls faked: no network, no root.

PATH holds only links to the few base tools that the script uses, and fakes. The fake apt-get
"installs" by making the commands of a package; the fake python3 makes a venv that is one file.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness.paths import ROOT

SETUP = ROOT / "harness/setup.sh"
BASE = (
    "bash cat chmod dirname env flock id mkdir mv readlink rm sha256sum sleep sort stat touch"
).split()
TOOLS = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-aarch64": "qemu-user",
    "gdb-multiarch": "gdb-multiarch",
    "clang": "clang",
    "llvm-readelf": "llvm",
    "shellcheck": "shellcheck",
    "tmux": "tmux",
    "make": "make",
    "git": "git",
}

FAKE_PYTHON = """#!/usr/bin/env bash
here=$(dirname "$0")
case "$1 $2" in
"--version ") echo "Python 3.99.0" ;;
"-c import"*) [[ -z ${OLD_PYTHON:-} ]] ;;
"-m venv") mkdir -p "$3/bin" && cat "$0" >"$3/bin/python" && chmod +x "$3/bin/python" ;;
"-m pip") echo "pip $*" >>"$LOG"; sleep "${PIP_SECONDS:-0}"; exit "${PIP_STATUS:-0}" ;;
esac
"""

FAKE_APT = """#!/usr/bin/env bash
echo "apt-get $DEBIAN_FRONTEND $*" >>"$LOG"
[[ -z ${APT_BREAKS:-} ]] || { echo "E: no network" >&2; exit 100; }
for word; do
    for pair in $PACKAGES; do
        [[ ${pair#*=} != "$word" ]] || { touch "$BIN/${pair%=*}"; chmod +x "$BIN/${pair%=*}"; }
    done
done
"""


FAKE_SUDO = """#!/usr/bin/env bash
[[ -z ${SUDO_ASKS:-} ]] || { echo "sudo: a password is required" >&2; exit 1; }
[[ $1 != -n ]] || shift
exec "$@"
"""


def says(version: str) -> str:
    """A tool whose --version is one line, as GCC, QEMU, GDB and clang have it."""
    return f'#!/usr/bin/env bash\necho "{version}"\n'


class Tree:
    """A checkout with nothing but the script and a requirements file, and a PATH for it."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin, self.log = root / "tree", root / "bin", root / "log"
        self.venv = self.root / ".venv"
        (self.root / "harness").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(SETUP, self.root / "harness")
        self.require("pytest==1\n")
        for tool in BASE:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        self.fake("python3", FAKE_PYTHON)
        self.fake("sudo", FAKE_SUDO)
        self.runtime = root / "lib/clang/99/lib/linux/libclang_rt.fuzzer-x86_64.a"
        self.runtime.parent.mkdir(parents=True)
        self.runtime.touch()
        for tool in TOOLS:
            self.fake(tool)
        self.environment = {
            "PATH": str(self.bin),
            "BIN": str(self.bin),
            "LOG": str(self.log),
            "PACKAGES": " ".join("=".join(pair) for pair in TOOLS.items()),
        }

    def require(self, text: str) -> None:
        (self.root / "requirements.txt").write_text(text, encoding="utf-8")

    def fake(self, name: str, text: str = "#!/bin/sh\n") -> None:
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def without(self, *names: str) -> None:
        for name in names:
            (self.bin / name).unlink()

    def start(self, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / "harness/setup.sh"],
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def setup(self, **variables: str) -> tuple[int, str]:
        process = self.start(**variables)
        output, _ = process.communicate(timeout=20)
        return process.returncode, output

    def logged(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_first_run_says_what_it_installs_and_the_second_says_nothing(tree: Tree) -> None:
    status, output = tree.setup()
    assert status == 0
    assert "installing Python packages" in output
    (pip,) = tree.logged()
    assert "--require-hashes" in pip
    assert tree.setup() == (0, "")
    assert len(tree.logged()) == 1


def test_nothing_to_do_starts_next_to_nothing(tree: Tree) -> None:
    """What it may start is all that is left; no tool is run to see whether it is there."""
    logs = '#!/usr/bin/env bash\necho "$0" >>"$LOG"\n'
    for tool in TOOLS:
        tree.fake(tool, logs)
    tree.setup()
    tree.fake("python3", logs)
    tree.without(*set(BASE) - {"bash", "dirname", "env", "readlink", "sha256sum", "stat"})
    before = tree.logged()
    assert tree.setup() == (0, "")
    assert tree.logged() == before


def test_apt_is_asked_only_for_what_is_missing(tree: Tree) -> None:
    tree.fake("apt-get", FAKE_APT)
    tree.without("qemu-system-aarch64", "aarch64-linux-gnu-gcc")
    status, output = tree.setup()
    assert status == 0, output
    assert "installing with apt: gcc-aarch64-linux-gnu qemu-system-arm\n" in output
    update, install = tree.logged()[:2]
    assert update.startswith("apt-get noninteractive ")
    assert update.endswith(" update")
    assert install.endswith("--no-install-recommends gcc-aarch64-linux-gnu qemu-system-arm")
    assert tree.setup() == (0, "")


def test_an_apt_failure_is_shown_and_stops(tree: Tree) -> None:
    tree.fake("apt-get", FAKE_APT)
    tree.without("git")
    status, output = tree.setup(APT_BREAKS="yes")
    assert status == 1
    assert "E: no network" in output
    assert "apt-get update failed" in output
    assert not tree.venv.exists()


def test_an_apt_that_installs_nothing_is_noticed(tree: Tree) -> None:
    tree.fake("apt-get", FAKE_APT)
    tree.without("git")
    status, output = tree.setup(PACKAGES="")
    assert status == 1
    assert "apt installed its packages, and yet there is no:\n    git" in output


def test_the_fuzzers_runtime_is_that_of_the_clang_on_path(tree: Tree) -> None:
    tree.runtime.unlink()
    status, output = tree.setup()
    assert status == 1
    assert "libclang_rt.fuzzer " in output
    assert "(Debian: libclang-rt-dev)" in output


@pytest.mark.parametrize(
    ("tool", "version", "least"),
    [
        ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-gcc (Ubuntu 11.4.0-1ubuntu1) 11.4.0", "12"),
        ("qemu-system-aarch64", "QEMU emulator version 6.2.0 (Debian 1:6.2+dfsg-2)", "7.2"),
        ("gdb-multiarch", "GNU gdb (GDB) 11.2", "12"),
        ("clang", "Ubuntu clang version 13.0.1-2", "14"),
    ],
)
def test_a_tool_that_is_too_old_is_told_before_anything_is_installed(
    tree: Tree, tool: str, version: str, least: str
) -> None:
    tree.fake("apt-get", FAKE_APT)
    tree.fake(tool, says(version))
    tree.without("tmux")
    status, output = tree.setup()
    assert status == 1
    first, hint = output.splitlines()
    assert first.startswith(f"setup: {tool} is ")
    assert f"Highwater needs {least} or newer" in first
    assert "Ubuntu 24.04" in hint
    assert tree.logged() == []


@pytest.mark.parametrize(
    "version",
    [
        "aarch64-none-elf-gcc (Arm GNU Toolchain 12.2.Rel1 (Build arm-12.24)) 12.2.1 20221205",
        "aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0",
        "aarch64-linux-gnu-gcc (Debian 16.2.0-1) 16.2.0",
    ],
)
def test_a_compiler_that_is_new_enough_passes(tree: Tree, version: str) -> None:
    tree.fake("aarch64-linux-gnu-gcc", says(version))
    assert tree.setup()[0] == 0
    assert tree.setup() == (0, "")


def test_a_tool_that_is_replaced_is_looked_at_again(tree: Tree) -> None:
    assert tree.setup()[0] == 0
    tree.fake("qemu-system-aarch64", says("QEMU emulator version 6.2.0"))
    assert "qemu-system-aarch64 is 6.2.0" in tree.setup()[1]


@pytest.mark.parametrize(
    ("release", "installs"),
    [
        ("ID=ubuntu\nVERSION_ID='22.04'\n", False),
        ("ID=debian\nVERSION_ID=11\n", False),
        ("ID=ubuntu\nVERSION_ID='24.04'\n", True),
        ("ID=debian\nVERSION_ID=13\n", True),
        ("ID=debian\n", True),  # unstable has no number
        ("ID=other\nVERSION_ID=1\n", True),
    ],
)
def test_a_release_that_is_too_old_installs_nothing(
    tree: Tree, release: str, installs: bool
) -> None:
    tree.fake("apt-get", FAKE_APT)
    tree.without("tmux")
    (tree.root / "os-release").write_text(release, encoding="utf-8")
    status, output = tree.setup(OS_RELEASE=str(tree.root / "os-release"))
    assert (status == 0) == installs, output
    assert bool(tree.logged()) == installs
    assert installs or "is the oldest that works; nothing was installed" in output


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no sudo")
def test_a_sudo_that_cannot_ask_is_told_as_that(tree: Tree) -> None:
    tree.fake("apt-get", FAKE_APT)
    tree.without("tmux")
    status, output = tree.setup(SUDO_ASKS="yes")
    assert status == 1
    assert "sudo wants a password that it has no terminal to ask for" in output
    assert "as root: apt-get install tmux; then run make again" in output
    assert tree.logged() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no sudo")
def test_without_root_and_sudo_it_says_what_to_type(tree: Tree) -> None:
    tree.fake("apt-get", FAKE_APT)
    tree.without("git", "sudo")
    status, output = tree.setup()
    assert status == 1
    assert "as root: apt-get install git" in output


def test_arms_own_toolchain_is_enough(tree: Tree) -> None:
    tree.without("aarch64-linux-gnu-gcc", "gdb-multiarch")
    tree.fake("aarch64-none-elf-gcc")
    tree.fake("aarch64-none-elf-gdb")
    status, output = tree.setup()
    assert status == 0, output


def test_on_another_system_it_names_what_to_install_and_fails(tree: Tree) -> None:
    tree.without("qemu-system-aarch64", "aarch64-linux-gnu-gcc")
    status, output = tree.setup()
    assert status == 1
    assert "not Debian or Ubuntu" in output
    assert "qemu-system-aarch64 " in output
    assert "aarch64-none-elf-gcc or aarch64-linux-gnu-gcc" in output
    assert "(Debian: gcc-aarch64-linux-gnu)" in output
    assert "clang" not in output


def test_a_compiler_of_the_users_own_that_is_missing_is_not_aptd(tree: Tree) -> None:
    tree.fake("apt-get", FAKE_APT)
    status, output = tree.setup(CROSS_COMPILE="/opt/arm/bin/aarch64-none-elf-")
    assert status == 1
    assert "/opt/arm/bin/aarch64-none-elf-gcc" in output
    assert tree.logged() == []


def test_changed_requirements_are_installed_again(tree: Tree) -> None:
    tree.setup()
    tree.require("pytest==2\n")
    status, output = tree.setup()
    assert (status, len(tree.logged())) == (0, 2), output


def test_a_moved_tree_makes_its_venv_again(tree: Tree) -> None:
    tree.setup()
    tree.root = tree.root.rename(tree.root.with_name("moved"))
    status, output = tree.setup()
    assert (status, len(tree.logged())) == (0, 2), output


def test_a_failing_pip_is_shown_and_its_venv_is_made_again(tree: Tree) -> None:
    status, output = tree.setup(PIP_STATUS="1")
    assert status == 1
    assert "will be made again" in output
    (tree.venv / "half").touch()
    status, output = tree.setup()
    assert status == 0, output
    assert not (tree.venv / "half").exists()


def test_an_interrupted_run_is_made_good(tree: Tree) -> None:
    process = tree.start(PIP_SECONDS="20")
    while not tree.logged():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode != 0
    status, output = tree.setup()
    assert (status, len(tree.logged())) == (0, 2), output


def test_two_at_once_install_once(tree: Tree) -> None:
    pair = [tree.start(PIP_SECONDS="0.2"), tree.start(PIP_SECONDS="0.2")]
    outputs = [process.communicate(timeout=20)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    assert len(tree.logged()) == 1


@pytest.mark.parametrize("compiler", ["clang-99", "aarch64-linux-gnu-gcc-99"])
def test_makes_own_cc_that_is_missing_is_not_aptd(tree: Tree, compiler: str) -> None:
    tree.fake("apt-get", FAKE_APT)
    status, output = tree.setup(KERNEL_CC=compiler)
    assert status == 1
    assert f"    {compiler} " in output
    assert "CC names a compiler that is not on PATH" in output
    assert tree.logged() == []


@pytest.mark.parametrize(
    ("compiler", "version", "least"),
    [
        ("clang-13", "Debian clang version 13.0.1", "14"),
        ("x-gcc-11", "x-gcc-11 (Ubuntu 11.4.0-1ubuntu1) 11.4.0", "12"),
    ],
)
def test_makes_own_cc_that_is_too_old_is_told(
    tree: Tree, compiler: str, version: str, least: str
) -> None:
    """Though the clang and the GCC that set-up would take are new enough."""
    tree.fake(compiler, says(version))
    status, output = tree.setup(KERNEL_CC=compiler)
    assert status == 1
    assert output.startswith(f"setup: {compiler} is ")
    assert f"Highwater needs {least} or newer" in output
    assert tree.setup()[0] == 0
