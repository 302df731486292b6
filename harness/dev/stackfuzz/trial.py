"""One batch, tried: built, run on a painted stack under qemu-user, reported, and compared.

Nothing is random here. What the report says is asked of the library, as its front end asks it:
report.make with every entry. An Outcome has one line an entry; what may not be is its `wrong`.
"""

import fcntl
import json
import os
import shlex
import shutil
import struct
import subprocess
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import get_ident

from elftools.elf.elffile import ELFFile

from harness.dev.stackfuzz import assembly, c
from harness.dev.stackfuzz.flags import BASE, CLANG
from harness.dev.stackfuzz.model import Batch, arguments
from harness.dev.stackfuzz.names import names, notes
from harness.errors import HarnessError, tail
from harness.stackreport import image, report
from harness.stackreport import notes as stacknotes
from harness.stackreport.bounds import Bound
from harness.tools import cross_prefix, find_clang, find_qemu_user, output, toolchain

HERE = Path(__file__).parent
MEASURE = HERE / "measure.c"
RUNTIME = "-O2 -ffreestanding -fno-stack-protector -fno-tree-loop-distribute-patterns".split()
JOB = struct.Struct("<Qq")
BUILD = Path(os.environ.get("BUILD", "build")) / "stackfuzz"
FAR = "0x20000000"
LOADER = "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"
PIE_OF_GCC = {"-pie": "-static-pie", "--no-dynamic-linker": "-Wl,--no-dynamic-linker"}
RUN_SECONDS = 60


class BadProgram(HarnessError):
    """The generator's fault, or a tool's: it does not build, or it crashes."""


@dataclass(frozen=True)
class Row:
    """One entry: what was measured over all its arguments, the worst of them, and the bound."""

    entry: str
    measured: int
    argument: int
    bound: Bound

    @property
    def wrong(self) -> bool:
        return self.bound.proven and self.measured > self.bound.bytes

    def __str__(self) -> str:
        return f"{self.entry}({self.argument:#x}): measured {self.measured}, said {self.bound}"


@dataclass(frozen=True)
class Measured:
    """Of a batch, whatever any report says: where its image is, and the deepest of each entry."""

    batch: Batch
    elf: Path
    deepest: tuple[tuple[str, int, int], ...]  # entry, bytes, argument
    runs: int


@dataclass(frozen=True)
class Outcome:
    measured: Measured
    rows: tuple[Row, ...]
    trace: str = ""  # the report's own traceback: it never has one

    @property
    def wrong(self) -> str:
        """Of this batch; "" for nothing."""
        return self.trace or "\n".join(str(row) for row in self.rows if row.wrong)

    @property
    def kind(self) -> str:
        """What a smaller batch must show, to be the same fault: a bound, or this traceback."""
        return _last(self.trace) or ("bound" if self.wrong else "")


def _last(trace: str) -> str:
    """The exception and the line that raised it, without what it says of this image."""
    places = [line.strip() for line in trace.splitlines() if line.startswith("  File ")]
    name = trace.strip().rpartition("\n")[2].partition(":")[0]
    return f"{name} {places[-1]}" if places else ""


def measure(batch: Batch, folder: Path, count: int, extra: Sequence[int] = ()) -> Measured:
    """`count` arguments an entry at most, and the extra ones."""
    elf = build(batch, folder)
    places = addresses(elf)
    jobs = []
    for program in batch.programs:
        entry = names(program).text[0]
        jobs += [(entry, x) for x in (*extra, *arguments(batch.seed, program, count))]
    depths = run_jobs(batch, elf, places, jobs)
    deepest: dict[str, tuple[str, int, int]] = {}
    for (entry, x), depth in zip(jobs, depths, strict=True):
        if entry not in deepest or depth > deepest[entry][1]:
            deepest[entry] = (entry, depth, x)
    return Measured(batch, elf, tuple(deepest.values()), len(jobs))


def remembered(batch: Batch, count: int) -> Measured:
    """The same, and not measured twice: what was measured stays in a file, with all that it
    depends on. Only the report is asked again. Several processes may ask for one batch."""
    folder = BUILD / "kept" / f"{batch.seed}{batch.about}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept, key = folder / "measured.json", _key(batch, count)
        if kept.exists() and (read := json.loads(kept.read_text("utf-8")))["key"] == key:
            deepest = tuple((entry, depth, x) for entry, depth, x in read["deepest"])
            return Measured(batch, folder / "image.elf", deepest, read["runs"])
        measured = measure(batch, folder, count)
        made = {"key": key, "deepest": measured.deepest, "runs": measured.runs}
        kept.write_text(json.dumps(made), "utf-8")
        return measured


def _key(batch: Batch, count: int) -> str:
    """Everything that a measurement depends on."""
    texts = [*sources(batch).values(), str(commands(batch)), MEASURE.read_text("utf-8"), str(count)]
    texts += [toolchain(), output(find_clang(), "--version"), output(find_qemu_user(), "--version")]
    return sha256("\0".join(texts).encode()).hexdigest()


def compare(measured: Measured) -> Outcome:
    """The report's word on every entry against what was measured."""
    entries = [entry for entry, _, _ in measured.deepest]
    noted = stacknotes.parse(notes(measured.batch))
    try:
        made = report.make(image.load(measured.elf), noted, (), entries)
    except Exception:  # whatever it is: no image may break the report
        return Outcome(measured, (), traceback.format_exc())
    bounds = {stack.name: stack.bound for stack in made.stacks}
    rows = (Row(e, depth, x, bounds[e]) for e, depth, x in measured.deepest)
    return Outcome(measured, tuple(rows))


# --- built ---------------------------------------------------------------------------------------


def sources(batch: Batch) -> dict[str, str]:
    return {
        "a.c": c.source(batch, 0),
        "b.c": c.source(batch, 1),
        "asm.s": assembly.source(batch),
        "notes.toml": notes(batch),
    }


def build(batch: Batch, folder: Path) -> Path:
    """Sources, notes and commands are left in the folder, beside the image."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in sources(batch).items():
        (folder / name).write_text(text, "utf-8")
    every = commands(batch)
    (folder / "build.sh").write_text("set -ex\n" + "".join(f"{shlex.join(c)}\n" for c in every))
    for command in every:
        _do(command, folder)
    return folder / "image.elf"


def commands(batch: Batch) -> list[list[str]]:
    compiler = [f"{cross_prefix()}gcc"]
    if batch.flags.compiler == CLANG:
        compiler = [str(find_clang()), "--target=aarch64-linux-gnu"]
    flags = [*BASE, *batch.flags.compile]
    found = [[*compiler, *flags, "-c", f"{unit}.c", "-o", f"{unit}.o"] for unit in "ab"]
    found.append([f"{cross_prefix()}as", "asm.s", "-o", "asm.o"])
    return [*found, *_links(batch)]


def _links(batch: Batch) -> list[list[str]]:
    """Through GCC where it optimizes once more, else the linker itself: that is quicker."""
    link = _for_this_system(batch.flags.link)
    whole = "-flto" in batch.flags.compile
    start = [f"{cross_prefix()}ld"]
    if whole:
        start = [f"{cross_prefix()}gcc", "-nostdlib", *batch.flags.compile]
    pie, shared = "pie" in link, "so" in link
    runtime = str(runtime_object(pie, shared).resolve())
    words = [*_words(batch, link), *_kind(pie, shared)]
    objects = ["a.o", *([] if shared else ["b.o"]), "asm.o", runtime]
    image = [*start, *_passed(words, whole), *objects]
    if not shared:
        return [[*image, "-o", "image.elf"]]
    library = [*start, *_passed([*_words(batch, link), "-shared"], whole), "b.o", "-o", "libb.so"]
    return [library, [*image, "libb.so", "-o", "image.elf"]]


def _for_this_system(link: list[str]) -> list[str]:
    """Arm's bare-metal toolchain knows neither objects that are loaded nor what moves itself."""
    linux = "linux" in cross_prefix()
    return [word for word in link if linux or word not in ("pie", "so")]


def _words(batch: Batch, link: list[str]) -> list[str]:
    words = ["--build-id=none", "-znoexecstack", *(w for w in link if w.startswith("--"))]
    if "norelocs" not in link:
        words.append("--emit-relocs")
    if "gc" in link:
        entries = [names(program).text[0] for program in batch.programs]
        words += ["--gc-sections", *(f"--undefined={entry}" for entry in entries)]
    if "far" in link:
        words.append(f"--section-start=.text.far={FAR}")
    return words


def _kind(pie: bool, shared: bool) -> list[str]:
    if shared:
        return ["--export-dynamic", f"--dynamic-linker={LOADER}", "-rpath=$ORIGIN"]
    return ["-pie", "--no-dynamic-linker"] if pie else ["-static"]


def _passed(words: list[str], through_gcc: bool) -> list[str]:
    """GCC knows the kinds of image itself, and hands the rest to the linker."""
    if not through_gcc:
        return words
    own = {"-static", "-shared"}
    return [word if word in own else PIE_OF_GCC.get(word, f"-Wl,{word}") for word in words]


@cache
def runtime_object(pie: bool, so: bool) -> Path:
    """measure.c, compiled once."""
    BUILD.mkdir(parents=True, exist_ok=True)
    made = BUILD / f"measure{'-pie' if pie else ''}{'-so' if so else ''}.o"
    if not made.exists() or made.stat().st_mtime_ns < MEASURE.stat().st_mtime_ns:
        more = ["-fPIE", *(["-DRELOCATE"] if pie else [])] if pie or so else ["-fno-pic"]
        part = made.with_suffix(f".{os.getpid()}-{get_ident()}")
        _do([f"{cross_prefix()}gcc", *RUNTIME, *more, "-c", str(MEASURE), "-o", str(part)], Path())
        part.replace(made)
    return made


def _do(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        said = tail(done.stderr, 20)
        raise BadProgram(
            f"a random program does not build in {folder}",
            evidence=[("command", shlex.join(command)), ("said", said)],
            hint="the generator writes what this toolchain refuses: mend harness/dev/stackfuzz",
        )


# --- run -----------------------------------------------------------------------------------------


def addresses(elf: Path) -> dict[str, int]:
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}


def run_jobs(
    batch: Batch, elf: Path, places: dict[str, int], jobs: list[tuple[str, int]]
) -> list[int]:
    sent = b"".join(
        JOB.pack(places[entry] - places["__ehdr_start"], x - (x >> 63 << 64))
        for entry, x in [("caught", 0), *jobs]
    )
    command = [str(find_qemu_user()), "-cpu", "max", str(elf)]
    try:
        done = subprocess.run(
            command, input=sent, capture_output=True, check=False, timeout=RUN_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise _crashed(batch, command, f"it ran for more than {RUN_SECONDS} s") from None
    depths = [depth for (depth,) in struct.iter_unpack("<q", done.stdout[: len(done.stdout) & ~7])]
    if done.returncode or len(depths) != len(jobs):
        said = tail(done.stderr) or f"status {done.returncode}, {len(depths)} answers"
        raise _crashed(batch, command, said)
    for (entry, x), depth in zip(jobs, depths, strict=True):
        if depth < 0:
            raise _crashed(batch, command, f"{entry}({x:#x}) ended by signal {-depth}")
    return depths


def _crashed(batch: Batch, command: list[str], said: str) -> BadProgram:
    return BadProgram(
        f"random program {batch.seed} crashed ({batch.flags})",
        evidence=[("command", " ".join(command)), ("said", said)],
        hint="the generator writes what cannot run: mend harness/dev/stackfuzz",
    )
