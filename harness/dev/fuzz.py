"""The host's fuzzers (harness/host): built, seeded and run. `make fuzz` and test_host.py call this.
`make fuzz` also runs the stack report's, which is Python: harness/stackfuzz.

build/host/fuzz_<name>          the program: one kernel file, libFuzzer, ASan and UBSan
build/host/seeds/<name>/        what it starts from
build/host/corpus/<name>/       what long runs have kept; the next one goes on from there
build/host/found/<name>-*       inputs that broke something
build/host/mutants/<name>.<x>/  a kernel file with a bug planted, and the fuzzer built with it
"""

import fcntl
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.dev.stackfuzz.run import Tally, hunt
from harness.errors import HarnessError, tail, while_read
from harness.qemu.initrd import newc
from harness.tools import find_qemu

SOURCES = Path("harness/host")
STACKREPORT = "stackreport"
HOST = Path(os.environ.get("BUILD", "build")) / "host"

MAX_LEN = {"cmdline": 1200, "cpio": 6000, "elf": 10000, "fdt": 12000}
PROGRAMS = HOST.parent / "user"  # the real ones, as kernel/user.mk leaves them for the initrd
# What each fuzzer starts from, in its own code: the .c file says how its bytes are read.
CHAIN = bytes([4, 0] * 18 + [1, 1, 4])  # eighteen nodes, one in the other, and a property
SIBLINGS = bytes([4, 0, 2, 1, 0, 3, 4, 0, 2, 1, 1, 3] * 2)  # four nodes, a number in each
SEEDS = {
    "cmdline": (
        b"\0lab=stack.recurse stack=16K past=0x800 nonce=0123456789abcdef",
        b"\0lab=stack.guard_touch protect=-guard,-sentinel on-fault=kill hold=serial",
        b"\0a=1 b=caf\xc3\xa9 c=\x7f",
        b"\0" + b" ".join(b"k%d=v" % i for i in range(33)),
        b"\0k=" + b"v" * 1023,
        b"\2" + b"18446744073709551615",
        b"\3" + bytes([6, 0, 0, 1]),
    ),
    "cpio": (
        bytes([1, 3, 2, 10, 1, 0, 99, 1, 4, 0, 2, 0]),  # three files, whole
        bytes([1, 1, 0, 9, 1, 1, 1, 115, 0]),  # one, and its name does not end
        bytes([1, 1, 0, 9, 1, 1, 1, 60, 3]),  # one, and a digit is none
        b"\0070701",
    ),
    "elf": (
        bytes([3, 0, 2, 1, 1, 1, 1] + [0, 1, 5, 2, 9, 50, 1, 1, 1, 1, 1] * 3),  # segments
        bytes([2, 1, 0, 4, 2, 4, 1, 16] + [0, 2, 0, 32] * 4 + [1]),  # functions
        b"\0\x7fELF\2\1\1",
    ),
    "fdt": (
        b"\1\0\0\0\0" + CHAIN,
        b"\1\0\3\0\0" + SIBLINGS,  # the last string has no end
        b"\1\0\0\1\0" + SIBLINGS,  # a second root
        b"\1\1\0\2\0" + SIBLINGS,  # the last node's name has no end
        b"\1\1\0\3\0" + SIBLINGS,  # nothing is behind the last node's name
        b"\1\0\0\4\0" + SIBLINGS,  # a node behind the end
        b"\1\0\0\0\17" + SIBLINGS,  # a property before the root
        b"\0\1" + bytes(range(1, 33)) + b"\0\0\0" + CHAIN,
        b"\0\0" + bytes([0, 1, 0, 8]).ljust(35, b"\0") + bytes([1, 1, 4]),
    ),
    "inject": (
        b"\0pool.alloc,nth=3,times=2,who=lab",
        b"\0page.alloc,prob=10,seed=7,space=64K",
        b"\0pool.alloc,who=a-name-of-sixteen",
        b"\0pool.alloc,prob=101",
        b"\1\0\21\22\24",
        b"\2\1\4\1\3\1\70\1" + bytes(range(0, 250, 3)),
    ),
    "pool": (bytes([1, 0, 0, 0, 0, 1, 0, 0]),),  # sixteen blocks of no bytes
}


@dataclass(frozen=True)
class Run:
    """What came of one run: how many inputs, how long, and what was found, if anything."""

    executions: int
    seconds: float
    finding: str  # what libFuzzer, a sanitizer or the model said; "" for nothing
    broken_by: str  # the file with the input that did it
    output: str


@dataclass(frozen=True)
class Mutant:
    """A kernel file with one piece of text replaced: a bug that the fuzzer must find."""

    name: str  # <fuzzer>.<bug>
    source: str
    text: str
    instead: str

    @property
    def fuzzer(self) -> str:
        return self.name.partition(".")[0]


def names() -> list[str]:
    return sorted(path.stem.removeprefix("fuzz_") for path in SOURCES.glob("fuzz_*.c"))


def build(name: str) -> Path:
    """The fuzzer, made if anything it consists of is newer."""
    return _make(HOST / f"fuzz_{name}")


def build_mutant(mutant: Mutant) -> Path:
    original = Path("kernel", mutant.source).read_text(encoding="utf-8")
    if original.count(mutant.text) != 1:
        raise HarnessError(
            f"{mutant.name}: {mutant.text!r} stands {original.count(mutant.text)} times"
            f" in kernel/{mutant.source}, not once",
            hint="give the mutant a text that stands there",
        )
    folder = HOST / "mutants" / mutant.name
    changed = folder / mutant.source
    with _locked(mutant.name):
        for former in set(folder.rglob("*.c")) - {changed}:  # its text has moved to another file
            former.unlink()
        _write(changed, original.replace(mutant.text, mutant.instead).encode())
    return _make(folder / "fuzz", newer_than=changed)


def seeds(name: str) -> Path:
    """The folder of first inputs."""
    folder = HOST / "seeds" / name
    with _locked(name):
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(SEEDS.get(name, ())):
            _write(folder / str(number), seed)
        for file, seed in _from_programs(name):
            _write(folder / file, seed)
        if name == "fdt" and not (folder / "virt").exists():
            _write(folder / "virt", packed(_dump_tree()))
    return folder


def run(fuzzer: Path, name: str, kept: Path, *options: str) -> Run:
    """Run until the options say so, or something is found. New inputs go to the folder kept."""
    kept.mkdir(parents=True, exist_ok=True)
    found = fuzzer.parent / "found"
    found.mkdir(parents=True, exist_ok=True)
    limit = MAX_LEN.get(name, 400)
    command = [str(fuzzer), f"-max_len={limit}", "-len_control=0", "-print_final_stats=1"]
    command += ["-verbosity=0", f"-artifact_prefix={found}/{name}-", *options]
    command += [str(kept), str(seeds(name))]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, check=False)
    output = done.stderr.decode("utf-8", "replace")
    return Run(
        executions=int(_first(r"number_of_executed_units: +(\d+)", output) or 0),
        seconds=time.monotonic() - began,
        finding=_finding(output) if done.returncode else "",
        broken_by=_first(r"Test unit written to (\S+)", output),
        output=output,
    )


def packed(tree: bytes) -> bytes:
    """A device tree without the free space that QEMU leaves behind it."""
    header = list(struct.unpack(">10I", tree[:40]))
    header[1] = max(header[2] + header[9], header[3] + header[8])
    return struct.pack(">10I", *header) + tree[40 : header[1]]


# ----------------------------------------------------------------------------------------------


def _from_programs(name: str) -> Iterator[tuple[str, bytes]]:
    """The programs as they are for elf, an archive of the smallest for cpio."""
    if name not in ("cpio", "elf"):
        return
    programs = sorted(path for path in PROGRAMS.glob("*") if not path.suffix)
    if not programs:
        raise HarnessError(f"no program in {PROGRAMS}", hint="make build")
    if name == "elf":
        yield from ((path.name, b"\1" + path.read_bytes()) for path in programs)
    else:
        smallest = min(programs, key=lambda path: path.stat().st_size)
        yield smallest.name, b"\0" + newc([(smallest.name, smallest.read_bytes())])


def _dump_tree() -> bytes:
    dumped = HOST / "virt.dtb"
    machine = f"virt,gic-version=3,dumpdtb={dumped}"
    command = [str(find_qemu()), "-M", machine, "-display", "none", "-nic", "none"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or not dumped.exists():
        raise HarnessError("QEMU dumped no device tree", evidence=[("said", tail(done.stderr))])
    return dumped.read_bytes()


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _finding(output: str) -> str:
    """The line that says it best: the model's, else a sanitizer's, else the last."""
    for pattern in (
        r"violated: (.*)",
        r"runtime error: (.*)",
        r"ERROR: AddressSanitizer: (\S+)",
        r"ERROR: libFuzzer: (.*)",
    ):
        if match := re.search(pattern, output):
            return match[1]
    return tail(output.encode(), 1)


def _make(target: Path, newer_than: Path | None = None) -> Path:
    with _locked("host"):
        _run_make(HOST / "host.o")
    with _locked(target.relative_to(HOST).as_posix().replace("/", ".")):
        if newer_than and target.exists() and _mtime(target) <= _mtime(newer_than):
            target.unlink()
        _run_make(target)
    return target


def _run_make(target: Path) -> None:
    command = ["make", "-s", "-f", f"{SOURCES}/build.mk", f"BUILD={HOST.parent}", str(target)]
    done = subprocess.run(command, env=_environment(), capture_output=True, check=False)
    if done.returncode:
        said = tail(done.stderr, 40)
        raise HarnessError(f"{target} cannot be built", evidence=[("make said", said)])


def _environment() -> dict[str, str]:
    """This process' own, without the make that may have started it."""
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def _mtime(path: Path) -> int:
    return path.stat().st_mtime_ns


def _write(path: Path, content: bytes) -> None:
    """Only what is new: an unchanged file keeps its date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


@contextmanager
def _locked(what: str) -> Iterator[None]:
    """Several test workers may want the same file."""
    folder = HOST / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / what).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ----------------------------------------------------------------------------------------------


def fuzz(name: str, seconds: int) -> bool:
    """A long run on the terminal. False: something was found."""
    came = run(build(name), name, HOST / "corpus" / name, f"-max_total_time={seconds}")
    speed = came.executions / came.seconds
    with while_read():
        print(f"  FUZZ    {name}: {came.executions} executions, {speed:.0f} a second")
    if came.finding:
        print(f"{came.output}\n{name}: {came.finding}", file=sys.stderr)
        print(f"again: {HOST}/fuzz_{name} {came.broken_by}", file=sys.stderr)
    return not came.finding


def fuzz_stackreport(seconds: int) -> bool:
    """Random programs, measured and reported, from SEED on. False: a bound was too low."""
    seed, tally = first_seed(), Tally()
    print(f"  FUZZ    stackreport: from SEED={seed} on", flush=True)
    try:
        found = hunt(seed, seconds, tally)
    finally:
        with while_read():
            print(f"  FUZZ    stackreport: {tally}", flush=True)
    if found:
        print(found, file=sys.stderr)
    return not found


def first_seed() -> int:
    """SEED, or one that no run before is likely to have had."""
    given = os.environ.get("SEED") or str(time.time_ns() // 1_000_000 % 1_000_000_000)
    if not given.isascii() or not given.isdigit():
        raise HarnessError(f"SEED={given} is not a number", hint="SEED=41, as a failure prints it")
    return int(given)


def main(arguments: Sequence[str]) -> int:
    chosen, seconds = arguments[0], int(arguments[1])
    known = [*names(), STACKREPORT]
    if chosen and chosen not in known:
        print(f"no fuzzer {chosen!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    try:
        results = [long_run(name, seconds) for name in ([chosen] if chosen else known)]
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(results) else 1


def long_run(name: str, seconds: int) -> bool:
    return fuzz_stackreport(seconds) if name == STACKREPORT else fuzz(name, seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
