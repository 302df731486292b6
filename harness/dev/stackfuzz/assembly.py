"""A batch's assembly functions: SP moved in every way that is legal, and calls made by every means.
Pure.

Each takes x in x0 and keeps it in x19; x20 holds SP over a statement that has moved it. One entry
of KINDS a statement; a statement's form chooses among the instructions that do the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.dev.stackfuzz.model import STEP, Batch, Function, Statement
from harness.dev.stackfuzz.names import Names, names

NEVER = 57  # a bit of x that is never set

Lines = list[str]


@dataclass
class Writer:
    names: Names
    index: int
    large: bool  # are addresses absolute? Then they may be constants
    labels: int = 0
    after: Lines = field(default_factory=list)  # behind the function: tables, other code

    @property
    def function(self) -> Function:
        return self.names.program.function(self.index)

    @property
    def own(self) -> str:
        return self.names.text[self.index]

    def name(self, s: Statement, which: int = 0) -> str:
        return self.names.text[s.callees[which]]

    def typed(self, what: str) -> str:
        """A function of its own beside this one: notes may name it."""
        self.labels += 1
        return f"{self.own}_{what}{self.labels}"

    def label(self) -> str:
        """Every other one stays in the symbol table."""
        self.labels += 1
        return f"{'.L' if self.labels % 2 else ''}{self.own}_{self.labels}"


MAILBOX = ("adrp x10, mailbox", "add x10, x10, :lo12:mailbox")
HEAD = "\t.arch armv8.5-a+sve\n\t.text\n"
PROLOGUES = (
    (
        "stp x29, x30, [sp, #-48]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "mov x29, sp",
    ),
    (
        "sub sp, sp, #64",
        "stp x29, x30, [sp, #48]",
        "stp x19, x20, [sp]",
        "stp x21, x22, [sp, #16]",
        "add x29, sp, #48",
    ),
    (
        "mov x16, sp",
        "stp x29, x30, [x16, #-48]!",
        "stp x19, x20, [x16, #16]",
        "stp x21, x22, [x16, #32]",
        "mov sp, x16",
    ),
    ("str x30, [sp, #-16]!", "stp x19, x20, [sp, #-16]!", "stp x21, x22, [sp, #-32]!"),
    (
        "sub x16, sp, #80",
        "mov sp, x16",
        "stp x19, x20, [x16], #16",
        "stp x21, x22, [x16], #16",
        "stp x29, x30, [x16]",
    ),
)
EPILOGUES = (
    ("ldp x21, x22, [sp, #32]", "ldp x19, x20, [sp, #16]", "ldp x29, x30, [sp], #48"),
    ("ldp x21, x22, [sp, #16]", "ldp x19, x20, [sp]", "ldp x29, x30, [sp, #48]", "add sp, sp, #64"),
    ("ldp x21, x22, [sp, #32]", "ldp x19, x20, [sp, #16]", "ldp x29, x30, [sp], #48"),
    ("ldp x21, x22, [sp], #32", "ldp x19, x20, [sp], #16", "ldr x30, [sp], #16"),
    ("ldp x19, x20, [sp], #16", "ldp x21, x22, [sp], #16", "ldp x29, x30, [sp], #48"),
)


def source(batch: Batch) -> str:
    absolute = not any(word in ("pie", "so") for word in batch.flags.link)
    text = []
    for program in batch.programs:
        known = names(program)
        for index, function in program.there():
            if function.shape == "asm":
                text += _function(Writer(known, index, absolute))
    return HEAD + "\n".join(line if line.endswith(":") else f"\t{line}" for line in text) + "\n"


def _function(w: Writer) -> Lines:
    form = w.function.form
    style = form % len(PROLOGUES)
    body = [line for s in w.function.body for line in _statement(w, s)]
    text = [*_opening(w, form // 8), *PROLOGUES[style], "mov x19, x0", *body, "mov x0, x19"]
    text += [*EPILOGUES[style], *_return(w, form // 512)]
    return [*text, *_closing(w, form // 8), *w.after]


def _opening(w: Writer, form: int) -> Lines:
    sections = (
        ".text",
        ".text",
        ".text",
        f'.section .text.{w.own}, "ax"',
        '.section .text.far, "ax"',
    )
    typed = [] if form % 16 == 15 and w.index else [f".type {w.own}, %function"]
    return [
        sections[form // 16 % 5],
        ".p2align 2",
        f".globl {w.own}",
        *typed,
        f"{w.own}:",
        "hint #34",
    ]


def _closing(w: Writer, form: int) -> Lines:
    return [] if form % 16 in (13, 15) and w.index else [f".size {w.own}, . - {w.own}"]


def _return(w: Writer, form: int) -> Lines:
    forms = (
        *[("ret",)] * 24,
        ("mov x16, x30", "ret x16"),
        ("br x30",),
        ("mov x17, x30", "br x17"),
        ("cbz x30, .", "ret"),
    )
    return list(forms[form % len(forms)])


def _statement(w: Writer, s: Statement) -> Lines:
    text = KINDS[s.kind](w, s)
    if s.bit is None:
        return text
    skip = w.label()
    return [f"tbz x19, #{s.bit}, {skip}", *text, f"{skip}:"]


def _bl(w: Writer, s: Statement) -> Lines:
    return ["mov x0, x19", f"bl {w.name(s)}"]


def _moved(w: Writer, s: Statement, moving: Lines) -> Lines:
    """SP moved, the lowest place written, a call from there, SP as before. Sixteen bytes first:
    where a run moves it no further, nothing that the prologue saved is written over."""
    moving = ["mov x20, sp", "sub sp, sp, #16", *moving]
    return [*moving, "str xzr, [sp]", *_bl(w, s), "mov sp, x20"]


def _step(s: Statement) -> int:
    return 16 * (1 + s.size % 29)


def _call(w: Writer, s: Statement) -> Lines:
    return _bl(w, s)


def _sub(w: Writer, s: Statement) -> Lines:
    n = _step(s)
    return [f"sub sp, sp, #{n}", "str xzr, [sp]", *_bl(w, s), f"add sp, sp, #{n}"]


def _big(w: Writer, s: Statement) -> Lines:
    forms = (
        ["mov x12, #4128", "sub sp, sp, x12"],
        ["mov x12, #0x20", "movk x12, #0, lsl #16", "sub sp, sp, x12, lsl #4"],
        ["sub sp, sp, #2, lsl #12", "sub sp, sp, #32"],
        ["mov w12, #4112", "sub sp, sp, w12, uxtw"],
        ["mov x12, #-4112", "add sp, sp, x12"],
        ["ldr x12, =4112", "sub sp, sp, x12"],
        ["mov x12, sp", "sub x12, x12, #1, lsl #12", "mov sp, x12"],
        ["orr x12, xzr, #0x800", "sub sp, sp, x12, uxtx #1"],
    )
    return _moved(w, s, forms[s.form % len(forms)])


def _push(w: Writer, s: Statement) -> Lines:
    n = 16 * (1 + s.size % 15)
    forms = (
        (f"str xzr, [sp, #-{n}]!", f"ldr xzr, [sp], #{n}"),
        (f"stp xzr, xzr, [sp, #-{n}]!", f"ldp xzr, x9, [sp], #{n}"),
        (f"stp q0, q1, [sp, #-{2 * n}]!", f"add sp, sp, #{2 * n}"),
        (f"str q0, [sp, #-{n}]!", f"ldr q0, [sp], #{n}"),
        (f"sub sp, sp, #16\nstr x9, [sp], #-{n}", f"add sp, sp, #{n + 16}"),
        (f"stp d8, d9, [sp, #-{n}]!", f"ldp d8, d9, [sp], #{n}"),
        (f"str d8, [sp, #-{n}]!", f"ldr d8, [sp], #{n}"),
    )
    before, after = forms[s.form % len(forms)]
    return [*before.split("\n"), *_bl(w, s), after]


# Of x9, which holds an SP: {n} bytes down.
WRITE_BACKS = (
    "str xzr, [x9, #-{n}]!",
    "stp xzr, xzr, [x9, #-{n}]!",
    "stp q0, q1, [x9, #-{n}]!",
    "str q0, [x9, #-{n}]!",
    "str d0, [x9, #-{n}]!",
    "stp d0, d1, [x9, #-{n}]!",
    "str wzr, [x9, #-{n}]!",
    "stp wzr, wzr, [x9, #-{n}]!",
    "strb wzr, [x9, #-{n}]!",
    "strh wzr, [x9, #-{n}]!",
    "str s0, [x9, #-{n}]!",
    "str b0, [x9, #-{n}]!",
    "str xzr, [x9], #-{n}",
    "stp xzr, xzr, [x9], #-{n}",
    "str q0, [x9], #-{n}",
    "strb wzr, [x9], #-{n}",
    "stp q0, q1, [x9], #-{n}",
    "ldr x11, [x9, #-{n}]!",
    "ldp x11, x12, [x9, #-{n}]!",
    "ldr q0, [x9, #-{n}]!",
    "ldr x11, [x9], #-{n}",
    "ldp x11, x12, [x9], #-{n}",
    "ldrsw x11, [x9, #-{n}]!",
    "ldrb w11, [x9], #-{n}",
    "ldrsh x11, [x9, #-{n}]!",
    "ldpsw x11, x12, [x9], #-{n}",
    "mov x10, #-{n}\nst1 {{v0.16b}}, [x9], x10",
    "mov x10, #-{n}\nld1 {{v0.2d}}, [x9], x10",
    "mov x10, #-{n}\nst1 {{v0.d}}[1], [x9], x10",
    "mov x10, #-{n}\nld1r {{v0.4s}}, [x9], x10",
    "mov x10, #-{n}\nst2 {{v0.2d, v1.2d}}, [x9], x10",
    "ldp s0, s1, [x9, #-{n}]!",
    "ldr h0, [x9], #-{n}",
)


def _write_back(w: Writer, s: Statement) -> Lines:
    form = WRITE_BACKS[s.form % len(WRITE_BACKS)]
    n = 16 * (1 + s.size % 15)
    return _moved(w, s, ["sub x9, sp, #64", *form.format(n=n).split("\n"), "mov sp, x9"])


# How x9 gets the value of x10, in other words than mov; x21 holds the address of sixteen bytes.
WRITES = {
    "loads": (
        "str x10, [x21]\nldr x9, [x21]",
        "str x10, [x21]\nldur x9, [x21]",
        "str x10, [x21]\nldtr x9, [x21]",
        "str x10, [x21]\nldar x9, [x21]",
        "str x10, [x21]\nldapr x9, [x21]",
        "str x10, [x21]\nldlar x9, [x21]",
        "str x10, [x21]\nmov x9, x21\nldr x9, [x9]",
        "str x10, [x21]\nmov x11, #0\nldr x9, [x21, x11]",
        "str x10, [x21]\nmov x11, x21\nldr x9, [x11], #16",
        "str w10, [x21]\nlsr x11, x10, #32\nstr w11, [x21, #4]\nldr x9, [x21]",
        "str x10, [x21]\nldr w11, [x21, #4]\nldr w9, [x21]\norr x9, x9, x11, lsl #32",
    ),
    "pairs": (
        "str x10, [x21]\nldp x9, x11, [x21]",
        "str x10, [x21, #8]\nldp x11, x9, [x21]",
        "str x10, [x21]\nldnp x9, x11, [x21]",
        "str x10, [x21, #8]\nldnp x11, x9, [x21]",
        "str x10, [x21]\nmov x11, x21\nldp x9, x12, [x11], #16",
        "str x10, [x21, #8]\nmov x11, x21\nldp x12, x9, [x11, #0]!",
    ),
    "exclusive": (
        "str x10, [x21]\nldaxr x9, [x21]",
        "str x10, [x21]\nldxr x9, [x21]",
        "str x10, [x21, #8]\nldxp x11, x9, [x21]",
        "str x10, [x21]\nldaxp x9, x11, [x21]",
    ),
    "atomics": (
        "str x10, [x21]\nswp xzr, x9, [x21]",
        "str x10, [x21]\nswpal x11, x9, [x21]",
        "str x10, [x21]\nldadd xzr, x9, [x21]",
        "str x10, [x21]\nldclral xzr, x9, [x21]",
        "str x10, [x21]\nldset xzr, x9, [x21]",
        "str x10, [x21]\nldeor xzr, x9, [x21]",
        "str x10, [x21]\nldsmax x11, x9, [x21]",
        "str x10, [x21]\nldumina x11, x9, [x21]",
        "str x10, [x21]\ncas x9, xzr, [x21]",
        "str x10, [x21]\ncasal x9, x11, [x21]",
        "str x10, [x21]\nmov x8, x9\nmov x9, #0\ncasp x8, x9, x12, x13, [x21]\nmov x9, x8",
        "mov x11, x10\nmov x12, x10\nstp x11, x12, [x21]\nmov x8, #0\ncasp x8, x9, x12, x13, [x21]",
    ),
    "selects": (
        "csel x9, x10, x9, al",
        "cmp xzr, xzr\ncsel x9, x10, x9, eq",
        "cmp xzr, xzr\ncsinc x9, x10, x9, eq",
        "cmp xzr, xzr\ncsel x9, x9, x10, ne",
        "cmp xzr, xzr\ncsinv x9, x10, xzr, eq",
    ),
    "floats": (
        "fmov d0, x10\nfmov x9, d0",
        "fmov d0, x10\numov x9, v0.d[0]",
        "mov v0.d[1], x10\nmov x9, v0.d[1]",
        "fmov d0, x10\nsmov x9, v0.s[0]\nmov x9, x10",
    ),
    "logic": (
        "orr x9, xzr, x10",
        "orr x9, x10, x10",
        "and x9, x10, x10",
        "ands x9, x10, x10",
        "eor x9, x10, xzr",
        "bic x9, x10, xzr",
        "mvn x9, x10\nmvn x9, x9",
        "eor x9, x9, x9\norr x9, x9, x10",
        "movn x9, #0\nand x9, x9, x10",
        "umulh x9, x10, xzr\norr x9, x9, x10",
    ),
    "arithmetic": (
        "add x9, x10, xzr",
        "adds x9, x10, #0",
        "subs x9, x10, xzr",
        "adc x9, x10, xzr\nmov x9, x10",
        "mov x11, #1\nmul x9, x10, x11",
        "mov x11, #1\nmadd x9, x10, x11, xzr",
        "mov x11, #1\nudiv x9, x10, x11",
        "mov x11, #1\nsdiv x9, x10, x11",
        "neg x9, x10\nneg x9, x9",
        "add x9, x10, x10\nlsr x9, x9, #1",
        "sub x9, x9, x9\nadd x9, x9, x10",
        "mov x9, xzr\nadd x9, x9, x10",
        "crc32x w9, wzr, x10\nmov x9, x10",
    ),
    "bits": (
        "ubfx x9, x10, #0, #64",
        "sbfx x9, x10, #0, #64",
        "bfxil x9, x10, #0, #63\nbfi x9, x10, #0, #63",
        "extr x9, x10, x10, #0",
        "lsl x9, x10, #0",
        "ror x9, x10, #0",
        "rbit x9, x10\nrbit x9, x9",
        "rev x9, x10\nrev x9, x9",
        "lslv x9, x10, xzr",
        "rorv x9, x10, xzr",
        "xpaci x10\nmov x9, x10",
        "mov w11, w10\nlsr x12, x10, #32\nmov w9, w11\nbfi x9, x12, #32, #32",
    ),
}
SVE = (
    "mov z0.d, x10\numov x9, v0.d[0]",
    "ptrue p0.d\nmov z0.d, x10\nlasta x9, p0, z0.d",
    "ptrue p0.d\nmov z0.d, x10\nlastb x9, p0, z0.d",
    "ptrue p0.d\nmov z0.d, x10\nclasta x9, p0, x9, z0.d",
    "ptrue p0.d, vl1\nmov z0.d, x10\numaxv d0, p0, z0.d\nfmov x9, d0",
    "cntd x11\nincd x9\nmov x9, x10",
    "incb x10\ndecb x10\nmov x9, x10",
)


def _written(s: Statement) -> Lines:
    """Each class of instructions is as likely as another."""
    forms = list(WRITES.values())[s.form % len(WRITES)]
    return forms[s.form // len(WRITES) % len(forms)].split("\n")


def _stale_by(w: Writer, s: Statement, written: Lines) -> Lines:
    """x9 held one SP; what it holds now is another."""
    return _moved(
        w,
        s,
        [
            "sub x21, sp, #16",
            "mov sp, x21",
            "mov x9, sp",
            f"sub x10, sp, #{_step(s)}",
            *written,
            "mov sp, x9",
        ],
    )


def _stale(w: Writer, s: Statement) -> Lines:
    return _stale_by(w, s, _written(s))


def _stale_sve(w: Writer, s: Statement) -> Lines:
    return _stale_by(w, s, SVE[s.form % len(SVE)].split("\n"))


def _number(w: Writer, s: Statement) -> Lines:
    """x9 was a known number; what it is now is a larger one."""
    n = _step(s) + 16
    return _moved(
        w,
        s,
        [
            "sub x21, sp, #16",
            "mov sp, x21",
            "mov x9, #16",
            f"mov x10, #{n}",
            *_written(s),
            "sub sp, sp, x9",
        ],
    )


def _local(w: Writer, s: Statement) -> tuple[str, Lines]:
    """A subroutine without a symbol of its own type or size."""
    label = w.label()
    n = 16 * (1 + s.size % 15)
    return label, [f"{label}:", f"str x30, [sp, #-{n}]!", *_bl(w, s), f"ldr x30, [sp], #{n}", "ret"]


def _inside(w: Writer, s: Statement) -> Lines:
    over, (label, body) = w.label(), _local(w, s)
    call = (f"bl {label}",) if s.form % 3 else (f"adr x9, {label}", "blr x9")
    return [*call, f"b {over}", *body, f"{over}:"]


def _outside(w: Writer, s: Statement) -> Lines:
    label, body = _local(w, s)
    w.after += body
    return [f"bl {label}"]


def _pointer(w: Writer, s: Statement) -> Lines:
    name, pool = w.name(s), w.label()
    absolute = (
        [
            f"movz x9, #:abs_g0_nc:{name}",
            f"movk x9, #:abs_g1_nc:{name}",
            f"movk x9, #:abs_g2_nc:{name}",
            f"movk x9, #:abs_g3:{name}",
        ],
        [f"ldr x9, ={name}"],
    )
    near = (
        [f"adrp x9, {name}", f"add x9, x9, :lo12:{name}"],
        [f"adrp x9, :got:{name}", f"ldr x9, [x9, :got_lo12:{name}]"],
        [f"adr x9, {pool}", f"ldrsw x10, {pool}", "add x9, x9, x10"],
        [
            f"adrp x9, {name}",
            f"add x9, x9, :lo12:{name}",
            "mov x10, x9",
            "str x10, [sp, #-16]!",
            "ldr x9, [sp], #16",
        ],
    )
    forms = (*near, *(absolute if w.large else ()))
    which = s.form % len(forms)
    if which == 2:
        w.after += [f"{pool}:", f".word {name} - {pool}"]
    return [*forms[which], *_handed(w, s.form // 8)]


def _distance(w: Writer, s: Statement) -> Lines:
    """The address of a subroutine that nobody has taken: that of one before it, and a distance
    that the linker never saw."""
    label, body = w.typed("far"), _local(w, s)[1][1:]
    near, slot = w.typed("near"), w.label()
    w.after += [*_begun(near), "ret", *_ended(near), *_begun(label), *body, *_ended(label)]
    w.after += [".pushsection .data", ".p2align 3", f"{slot}:", f".quad {label} - {near}"]
    w.after.append(".popsection")
    load = [f"adrp x10, {slot}", f"add x10, x10, :lo12:{slot}", "ldr x10, [x10]"]
    return [f"adr x9, {near}", *load, "add x9, x9, x10", *_handed(w, s.form)]


# What a table of functions holds, and how x9, its address, becomes the one of entry x10.
TABLES = (
    (".word {0} - {1}", "ldrsw x10, [x9, x10, lsl #2]\nadd x9, x9, x10"),
    (".word {0} - .", "add x11, x9, x10, lsl #2\nldrsw x10, [x11]\nadd x9, x11, x10"),
    (".quad {0} - {1}", "ldr x10, [x9, x10, lsl #3]\nadd x9, x9, x10"),
    (".quad {0}", "ldr x9, [x9, x10, lsl #3]"),  # an address: not where images move
)


def _table(w: Writer, s: Statement) -> Lines:
    table = w.label()
    entry, load = TABLES[s.form % (4 if w.large else 3)]
    rows = [entry.format(w.name(s, k), table) for k in (0, 1, 2, 0)]
    section = (".text", '.rodata, "a"')[s.form // 4 % 2]
    w.after += [f".pushsection {section}", ".p2align 3", f"{table}:", *rows, ".popsection"]
    base = [f"adrp x9, {table}", f"add x9, x9, :lo12:{table}", f"ubfx x10, x19, #{s.pick}, #2"]
    return [*base, *load.split("\n"), *_handed(w, s.form // 8)]


def _handed(w: Writer, form: int) -> Lines:
    """A call of x9: at once; by another function, which it is handed to, or finds in memory; or of
    what another function gives back."""
    if form % 4 < 2:
        return ["mov x0, x19", "blr x9"]
    caller = w.typed("caller")
    hand, take = (
        (["mov x1, x9"], []),
        ([*MAILBOX, "str x9, [x10]"], [*MAILBOX, "ldr x1, [x10]"]),
        (["mov x22, x9"], ["mov x1, x22"]),
        (["stp x9, x9, [sp, #-16]!", "mov x1, sp"], ["ldr x1, [x1]"]),
    )[form // 4 % 4]
    back = ["add sp, sp, #16"] if form // 4 % 4 == 3 else []
    frame = ["str x30, [sp, #-16]!", *take, "blr x1", "ldr x30, [sp], #16", "ret"]
    w.after += [*_begun(caller), *frame, *_ended(caller)]
    return [*hand, "mov x0, x19", f"bl {caller}", *back]


def _by_hand(w: Writer, s: Statement) -> Lines:
    """A call that is none: the return address is made, and then jumped."""
    back, name = w.label(), w.name(s)
    load = [f"adrp x9, {name}", f"add x9, x9, :lo12:{name}"]
    forms = (
        [f"b {name}"],
        [*load, "br x9"],
        [*load, "ret x9"],
        ["mov x10, #0", f"cbz x10, {name}"],
        ["cmp xzr, xzr", f"b.eq {name}"],
    )
    n = _step(s)
    form = forms[s.form % len(forms)]
    more = [f"sub sp, sp, #{n}", "str xzr, [sp]", *_bl(w, s), f"add sp, sp, #{n}"]
    return ["mov x0, x19", f"adr x30, {back}", *form, f"{back}:", *more]


def _jump_table(w: Writer, s: Statement) -> Lines:
    table, end = w.label(), w.label()
    labels = [w.label() for _ in range(3)]
    width = s.form % 3
    directive, load, scale = (
        (".word", "ldrsw x10, [x9, x10, lsl #2]", 0),
        (".hword", "ldrsh x10, [x9, x10, lsl #1]", 2),
        (".byte", "ldrb w10, [x9, x10]", 2),
    )[width]
    entry = "{0} - {1}" if not scale else "({0} - {1}) / 4"
    rows = [f"{directive} {entry.format(label, labels[0] if scale else table)}" for label in labels]
    w.after += [".p2align 2", f"{table}:", *rows, ".p2align 2"]
    base = [f"adr x9, {labels[0]}"] if scale else []
    text = [
        f"adr x9, {table}",
        f"ubfx x10, x19, #{s.pick}, #1",
        load,
        *base,
        f"add x9, x9, x10, lsl #{scale}",
        "br x9",
    ]
    for k, label in enumerate(labels):
        n = 16 + 48 * k
        text += [
            f"{label}:",
            f"sub sp, sp, #{n}",
            "str xzr, [sp]",
            "mov x0, x19",
            f"bl {w.name(s, k)}",
            f"add sp, sp, #{n}",
            f"b {end}",
        ]
    return [*text, f"{end}:"]


def _label(w: Writer, s: Statement) -> Lines:
    """A part of this function elsewhere: jumped to, and back."""
    part, back, n = w.label(), w.label(), _step(s)
    jumps = (
        [f"b {part}"],
        [f"cbz xzr, {part}"],
        ["cmp xzr, xzr", f"b.eq {part}"],
        [f"adr x9, {part}", "br x9"],
        [f"adr x9, {part}", *MAILBOX, "str x9, [x10]", "ldr x9, [x10]", "br x9"],
    )
    w.after += [
        f"{part}:",
        f"sub sp, sp, #{n}",
        "str xzr, [sp]",
        *_bl(w, s),
        f"add sp, sp, #{n}",
        f"b {back}",
    ]
    return [*jumps[s.form % 5], f"{back}:"]


def _align(w: Writer, s: Statement) -> Lines:
    n = _step(s)
    forms = (
        ["mov x9, sp", "and sp, x9, #-64"],
        [f"sub x9, sp, #{n}", "and sp, x9, #-128"],
        [f"sub x9, sp, #{n}", "and x9, x9, #-32", "mov sp, x9"],
    )
    return _moved(w, s, forms[s.form % 3])


def _dynamic(w: Writer, s: Statement) -> Lines:
    forms = (
        ["sub sp, sp, x9, lsl #4"],
        ["lsl x9, x9, #4", "sub sp, sp, x9"],
        ["mov x10, sp", "sub x10, x10, x9, lsl #5", "mov sp, x10"],
        ["sub sp, sp, w9, uxtw #4"],
    )
    return _moved(w, s, [f"ubfx x9, x19, #{s.pick}, #3", *forms[s.form % 4]])


def _push_loop(w: Writer, s: Statement) -> Lines:
    again = w.label()
    return _moved(
        w,
        s,
        [
            f"ubfx x9, x19, #{s.pick}, #3",
            f"{again}:",
            "str x9, [sp, #-16]!",
            "sub x9, x9, #1",
            f"tbz x9, #63, {again}",
        ],
    )


def _probe(w: Writer, s: Statement) -> Lines:
    again, pages = w.label(), 1 + s.form % 3
    loops = (
        [
            f"sub x9, sp, #{pages}, lsl #12",
            f"{again}:",
            "sub sp, sp, #1, lsl #12",
            "str xzr, [sp, #1024]",
            "cmp sp, x9",
            f"b.ne {again}",
        ],
        [
            f"sub x9, sp, #{pages}, lsl #12",
            f"{again}:",
            "sub sp, sp, #1, lsl #12",
            "str xzr, [sp]",
            "cmp sp, x9",
            f"b.hi {again}",
        ],
        [
            f"mov x9, #{pages}",
            f"{again}:",
            "sub sp, sp, #1, lsl #12",
            "str xzr, [sp]",
            "subs x9, x9, #1",
            f"b.ne {again}",
        ],
    )
    return _moved(w, s, loops[s.form // 3 % 3])


def _helper(w: Writer, s: Statement) -> Lines:
    """Millicode: it returns with SP lower than it was called."""
    helper, n = w.label(), 16 * (1 + s.size % 15)
    w.after += [f"{helper}:", f"stp xzr, xzr, [sp, #-{n}]!", "ret"]
    return _moved(w, s, [f"bl {helper}"])


def _vector(w: Writer, s: Statement) -> Lines:
    forms = (
        ["addvl sp, sp, #-2"],
        ["addpl sp, sp, #-16"],
        ["rdvl x9, #1", "sub sp, sp, x9"],
        ["addvl x9, sp, #-1", "mov sp, x9"],
        ["cntb x9", "sub sp, sp, x9"],
    )
    return _moved(w, s, forms[s.form % 5])


def _memory(w: Writer, s: Statement) -> Lines:
    """SP goes through memory, or through a floating-point register."""
    n = _step(s)
    forms = (
        [f"sub x9, sp, #{n}", "str x9, [sp, #-16]!", "ldr x9, [sp]", "mov sp, x9"],
        [f"sub x9, sp, #{n}", "fmov d0, x9", "fmov x9, d0", "mov sp, x9"],
        [f"sub x9, sp, #{n}", "stp x9, x9, [sp, #-16]!", "ldp x10, x9, [sp], #16", "mov sp, x9"],
    )
    return _moved(w, s, forms[s.form % 3])


def _select(w: Writer, s: Statement) -> Lines:
    n = _step(s)
    forms = (
        [
            "mov x9, sp",
            f"sub x10, sp, #{n}",
            f"tst x19, #{1 << s.pick}",
            "csel x9, x9, x10, eq",
            "mov sp, x9",
        ],
        [
            "mov x9, #16",
            f"mov x10, #{n + 16}",
            f"tst x19, #{1 << s.pick}",
            "csel x9, x9, x10, eq",
            "sub sp, sp, x9",
        ],
        ["mov x9, #16", f"ubfx x10, x19, #{s.pick}, #2", "madd x9, x9, x10, x9", "sub sp, sp, x9"],
    )
    return _moved(w, s, forms[s.form % 3])


def _atomic(w: Writer, s: Statement) -> Lines:
    again = w.label()
    store = ("stxr w11, x10, [x21]", "stlxr w11, x10, [x21]")[s.form % 2]
    return [
        "stp xzr, xzr, [sp, #-16]!",
        "mov x21, sp",
        f"{again}:",
        "ldaxr x10, [x21]",
        "add x10, x10, #1",
        store,
        f"cbnz w11, {again}",
        "ldaddal x10, x12, [x21]",
        "add sp, sp, #16",
    ]


def _sve(_: Writer, s: Statement) -> Lines:
    forms = (
        "ptrue p0.b",
        "mov z0.s, #1",
        "mov z0.d, x19",
        "mov z0.d, z1.d",
        "mov z0.s, s1",
        "ptrue p0.s\nmov z0.s, p0/m, #1",
        "add z0.s, z0.s, #1",
        "pfalse p1.b",
        "mov p1.b, p0.b",
        "index z0.d, x19, #1",
        "whilelo p0.d, xzr, x19",
        "cntb x9",
        "fdup z0.d, #1.0",
        "ptrue p0.d\nsub sp, sp, #512\nst1d {z0.d}, p0, [sp]\nadd sp, sp, #512",
        "sub sp, sp, #512\nstr z0, [sp]\nldr z0, [sp]\nadd sp, sp, #512",
        "eor z0.d, z0.d, z0.d",
        "movprfx z0, z1\nadd z0.d, p0/m, z0.d, z2.d",
    )
    return forms[s.form % len(forms)].split("\n")


def _tail(w: Writer, s: Statement) -> Lines:
    """The frame given back, and another function in its place; no way on."""
    name = w.name(s)
    forms = (
        [f"b {name}"],
        ["cmp xzr, xzr", f"b.eq {name}", "brk #0x3e8"],
        [f"cbz xzr, {name}", f"b {name}"],
        [f"tbz xzr, #3, {name}", "ret"],
        [f"adrp x16, {name}", f"add x16, x16, :lo12:{name}", "br x16"],
    )
    away = ["mov x0, x19", *EPILOGUES[w.function.form % len(PROLOGUES)]]
    return [*away, *forms[s.form % len(forms)]]


def _clobber(w: Writer, s: Statement) -> Lines:
    """A subroutine that changes a register which the convention has it keep."""
    helper, back, n = w.typed("helper"), w.label(), _step(s)
    w.after += [*_begun(helper), f"sub x22, x22, #{n}", "ret", *_ended(helper)]
    calls = (
        [f"bl {helper}"],
        [f"adr x9, {helper}", "blr x9"],
        [f"adr x30, {back}", f"b {helper}", f"{back}:"],
        [f"adr x9, {helper}", *MAILBOX, "str x9, [x10]", "ldr x9, [x10]", "blr x9"],
    )
    return _moved(w, s, ["mov x22, sp", *calls[s.form % 4], "mov sp, x22"])


# How the return address at [sp] becomes x9; x10 holds SP.
OVERWRITTEN = (
    "str x9, [sp]",
    "str x9, [x10]",
    "stp x9, x9, [sp]",
    "stur x9, [x10]",
    "fmov d0, x9\nstr d0, [sp]",
    "fmov d0, x9\nst1 {v0.d}[0], [x10]",
    "str w9, [sp]\nlsr x9, x9, #32\nstr w9, [sp, #4]",
    "stlr x9, [x10]",
    "swp x9, x11, [x10]",
    "mov x11, #0\nstr x9, [sp, x11]",
    "sub x10, x10, #8\nstr x9, [x10, #8]!",
    "str x9, [sp, #8]\nldr x30, [sp, #8]\nstr x30, [x10]",
    "str x30, [x10], #8\nstr x9, [x10, #-8]",
)


def _return_elsewhere(w: Writer, s: Statement) -> Lines:
    """A subroutine that returns to a part which nobody calls."""
    sub, part, back, n = w.typed("sub"), w.label(), w.label(), _step(s)
    write = OVERWRITTEN[s.form % len(OVERWRITTEN)].split("\n")
    w.after += [
        *_begun(sub),
        "str x30, [sp, #-16]!",
        f"adr x9, {part}",
        "mov x10, sp",
        *write,
        "ldr x30, [sp], #16",
        "ret",
        *_ended(sub),
        f"{part}:",
        f"sub sp, sp, #{n}",
        "str xzr, [sp]",
        *_bl(w, s),
        f"add sp, sp, #{n}",
        f"b {back}",
    ]
    return [f"bl {sub}", f"{back}:"]


def _begun(name: str) -> Lines:
    return [".p2align 2", f".type {name}, %function", f"{name}:"]


def _ended(name: str) -> Lines:
    return [f".size {name}, . - {name}"]


def _slot(w: Writer, s: Statement) -> Lines:
    """A number or an address in memory that was another when the program was linked."""
    slot, n = w.label(), _step(s)
    w.after += [".pushsection .data", ".p2align 3", f"{slot}:", ".quad 16", ".popsection"]
    address = [f"adrp x9, {slot}", f"add x9, x9, :lo12:{slot}"]
    forms = (
        [f"mov x10, #{n + 16}", "str x10, [x9]", "ldr x11, [x9]", "sub sp, sp, x11"],
        [f"sub x10, sp, #{n}", "str x10, [x9]", "ldr x11, [x9]", "mov sp, x11"],
        [f"mov w10, #{n + 16}", "str w10, [x9]", "ldrsw x11, [x9]", "sub sp, sp, x11"],
    )
    return _moved(w, s, [*address, *forms[s.form % 3]])


def _diverge(w: Writer, s: Statement) -> Lines:
    """Two paths meet with SP at two places, or with a register that holds two."""
    over, n = w.label(), _step(s)
    forms = (
        [f"tbz x19, #{s.pick}, {over}", f"sub sp, sp, #{n}", f"{over}:"],
        [
            "mov x9, sp",
            f"tbz x19, #{s.pick}, {over}",
            f"sub x9, sp, #{n}",
            f"{over}:",
            "mov sp, x9",
        ],
        [
            "mov x9, #16",
            f"tbz x19, #{s.pick}, {over}",
            f"mov x9, #{n}",
            f"{over}:",
            "sub sp, sp, x9",
        ],
        [
            f"sub x9, sp, #{n}",
            f"tbnz x19, #{s.pick}, {over}",
            "mov x9, sp",
            f"{over}:",
            "mov sp, x9",
        ],
    )
    return _moved(w, s, forms[s.form % 4])


def _recurse(w: Writer, _: Statement) -> Lines:
    over = w.label()
    return [
        f"lsr x9, x19, #{STEP}",
        f"cbz x9, {over}",
        "mov x9, #1",
        f"sub x0, x19, x9, lsl #{STEP}",
        f"bl {w.own}",
        f"{over}:",
    ]


def _spin(w: Writer, s: Statement) -> Lines:
    """A wait that never begins, and nothing behind it."""
    over, again = w.label(), w.label()
    return [f"tbz x19, #{NEVER}, {over}", f"{again}:", "wfe", f"b {again}", f"{over}:"]


def _odd(_: Writer, s: Statement) -> Lines:
    forms = (
        "paciasp\nautiasp",
        "dmb ish",
        "prfm pldl1keep, [sp]",
        "mrs x9, nzcv",
        "msr nzcv, xzr",
        "isb",
        "sb",
        "pacga x9, x19, x20",
        "hint #16",
        "crc32b w9, w9, w9",
        "fmov v0.2d, #1.0",
        "sqadd v0.4s, v1.4s, v2.4s",
        "bti j",
        "cfinv",
        "yield",
        "adr x9, .",
        "ldr x9, [sp, #-8]",
        "tbl v0.16b, {v1.16b}, v2.16b",
        "fjcvtzs w9, d0",
        "rev32 x9, x9",
    )
    return forms[s.form % len(forms)].split("\n")


KINDS: dict[str, Callable[[Writer, Statement], Lines]] = {
    "a_call": _call,
    "a_sub": _sub,
    "a_big": _big,
    "a_push": _push,
    "a_write_back": _write_back,
    "a_stale": _stale,
    "a_stale_sve": _stale_sve,
    "a_number": _number,
    "a_inside": _inside,
    "a_outside": _outside,
    "a_pointer": _pointer,
    "a_table": _table,
    "a_distance": _distance,
    "a_by_hand": _by_hand,
    "a_jump_table": _jump_table,
    "a_label": _label,
    "a_align": _align,
    "a_dynamic": _dynamic,
    "a_push_loop": _push_loop,
    "a_probe": _probe,
    "a_helper": _helper,
    "a_vector": _vector,
    "a_memory": _memory,
    "a_select": _select,
    "a_atomic": _atomic,
    "a_sve": _sve,
    "a_spin": _spin,
    "a_odd": _odd,
    "a_tail": _tail,
    "a_clobber": _clobber,
    "a_slot": _slot,
    "a_diverge": _diverge,
    "a_recurse": _recurse,
    "a_return": _return_elsewhere,
}
