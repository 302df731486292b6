"""Compilers, and the flags that change what a frame is and how it is called. Pure.

An axis is a set of alternatives of which a batch has one; each names the compilers that know it.
"""

from dataclasses import dataclass
from random import Random

GCC, CLANG = "gcc", "clang"
BASE = (
    "-w -ffreestanding -fno-strict-aliasing -fno-asynchronous-unwind-tables -mno-outline-atomics"
).split()


@dataclass(frozen=True)
class Axis:
    """`every`: how many of a hundred batches have one of these; each is words for the compiler,
    and `-Wl,` ones for the linker."""

    name: str
    every: int
    gcc: tuple[str, ...]
    clang: tuple[str, ...]


AXES = (
    Axis("probes", 20, ("-fstack-clash-protection",), ()),
    Axis(
        "branches",
        25,
        ("-mbranch-protection=standard", "-mbranch-protection=pac-ret+leaf"),
        ("-mbranch-protection=standard", "-mbranch-protection=pac-ret+leaf+b-key"),
    ),
    Axis("slides", 15, ("-mharden-sls=all", "-mharden-sls=blr"), ("-mharden-sls=all",)),
    Axis(
        "parts",
        35,
        (
            "-freorder-blocks-and-partition -fno-guess-branch-probability",
            "-freorder-blocks-and-partition",
        ),
        (
            "-mllvm -hot-cold-split=true",
            "-mllvm -hot-cold-split=true -mllvm -hotcoldsplit-threshold=0",
        ),
    ),
    Axis(
        "model",
        55,
        (
            "-mcmodel=tiny",
            "-mcmodel=large -fno-pic",
            "-fPIE -Wl,pie",
            "-fPIC -fno-plt",
            "-fPIC",
            "-fPIE -fno-plt -Wl,pie",
            "-Wl,so -fPIC -fno-plt",
        ),
        (
            "-mcmodel=tiny -fno-pic",
            "-mcmodel=large -fno-pic",
            "-fPIE -Wl,pie",
            "-fPIC -fno-plt",
            "-fPIC",
            "-Wl,so -fPIC -fno-plt",
        ),
    ),
    Axis(
        "architecture",
        35,
        ("-march=armv8.2-a+sve", "-march=armv8.1-a", "-march=armv8.5-a"),
        ("-march=armv8.2-a+sve", "-march=armv8.1-a", "-march=armv8.5-a"),
    ),
    Axis(
        "frame",
        30,
        (
            "-fomit-frame-pointer",
            "-fno-omit-frame-pointer",
            "-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer",
        ),
        (
            "-fomit-frame-pointer",
            "-fno-omit-frame-pointer",
            "-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer",
        ),
    ),
    Axis("whole", 15, ("-flto -fno-fat-lto-objects",), ("-moutline", "-Oz -moutline", "-moutline")),
    Axis(
        "sections",
        25,
        ("-ffunction-sections -Wl,gc", "-ffunction-sections"),
        ("-ffunction-sections -Wl,gc", "-ffunction-sections"),
    ),
    Axis(
        "jumps",
        20,
        ("-fno-jump-tables", "-fno-optimize-sibling-calls"),
        ("-fno-jump-tables", "-fno-optimize-sibling-calls"),
    ),
    Axis(
        "guard",
        15,
        ("-fstack-protector-all -mstack-protector-guard=global", "-fstack-protector-strong"),
        ("-fstack-protector-all", "-fstack-protector-strong"),
    ),
    Axis(
        "inline",
        20,
        (
            "-fno-inline",
            "-finline-limit=1000 -finline-functions",
            "-fipa-pta",
            "-fno-shrink-wrap",
            "-fpatchable-function-entry=2",
        ),
        ("-fno-inline", "-mllvm -inline-threshold=2000", "-fpatchable-function-entry=2"),
    ),
    Axis(
        "registers",
        12,
        ("-fzero-call-used-regs=all", "-ffixed-x19 -ffixed-x20", "-fno-ipa-ra"),
        ("-ffixed-x20 -ffixed-x21",),
    ),
    Axis(
        "link",
        30,
        (
            "-Wl,--fix-cortex-a53-843419",
            "-Wl,--fix-cortex-a53-835769",
            "-Wl,far",
            "-Wl,norelocs",
            "-Wl,norelocs",
            "-Wl,gnustack",
        ),
        ("-Wl,--fix-cortex-a53-843419", "-Wl,--fix-cortex-a53-835769", "-Wl,far", "-Wl,norelocs"),
    ),
)
LEVELS = {
    GCC: ("-O0", "-O1", "-O2", "-O2", "-O3", "-Os", "-Og"),
    CLANG: ("-O0", "-O1", "-O2", "-O2", "-O3", "-Os", "-Oz"),
}


@dataclass(frozen=True)
class Flags:
    """`words` is what was chosen, one string an axis; a word that begins with -Wl, is link's."""

    compiler: str
    words: tuple[str, ...]

    @property
    def compile(self) -> list[str]:
        return [w for group in self.words for w in group.split() if not w.startswith("-Wl,")]

    @property
    def link(self) -> list[str]:
        every = [w for group in self.words for w in group.split() if w.startswith("-Wl,")]
        return [word.removeprefix("-Wl,") for word in every]

    def __str__(self) -> str:
        return " ".join([self.compiler, *self.words])


def choose(rng: Random) -> Flags:
    compiler = rng.choice((GCC, GCC, CLANG))
    words = [rng.choice(LEVELS[compiler])]
    for axis in AXES:
        found = axis.gcc if compiler == GCC else axis.clang
        wanted = rng.randrange(100) < axis.every
        if found and wanted:
            words.append(rng.choice(found))
    return Flags(compiler, tuple(word for word in words if not _impossible(word, words)))


def _impossible(word: str, words: list[str]) -> bool:
    """`adr` reaches a megabyte: the tiny model cannot have a part far away."""
    return word == "-Wl,far" and any("tiny" in other for other in words)
