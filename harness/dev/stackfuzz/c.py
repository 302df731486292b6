"""A batch's programs in C: two units, and in each what its functions consist of. Pure.

One entry of KINDS a statement. What it allocates it also writes, at both ends, so that what is
measured comes near to what is reserved.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.dev.stackfuzz.model import STEP, Batch, Function, Statement, statements
from harness.dev.stackfuzz.names import MOST_DYNAMIC, Names, names

HEADER = """\
typedef long fn(long);
struct big { long v[9]; };
#define BIT(k) ((x >> (k)) & 1)
#define TRIPLE(k) ((unsigned long)(x >> (k)) & 7)
#define TOUCH(b, n) do { (b)[0] = x; (b)[(n) - 1] = x; (b)[((unsigned long)x >> 7) % (n)] = x; \\
	r += (b)[((unsigned long)x >> 5) % (n)]; } while (0)
extern volatile long sink;
extern unsigned long mailbox[4];
extern int place_save(long *) __attribute__((returns_twice));
extern void place_return(long *) __attribute__((noreturn));
extern long not_there(long) __attribute__((weak));
static inline struct big big_of(long a) { struct big b = {{a, a + 1, a, a}}; return b; }
"""

ATTRIBUTES = (
    "",
    "",
    "",
    "noinline",
    "noinline",
    "noinline, noclone",
    "cold",
    "cold, noinline",
    "hot",
    "flatten",
    "aligned(64)",
    'section(".text.far")',
    'section(".text.unlikely.z")',
    "noipa",
)
LASTING = ("noinline, noclone", "noinline, noclone, cold")  # where a note names the function
SIGNATURES = {
    "plain": "long {}(long x)",
    "asm": "long {}(long x)",
    "many": "long {}(long x, long a, long b, long c, long d, long e, long f, long g, long h, "
    "long i)",
    "record": "struct big {}(long x, struct big b)",
    "apply": "long {}(fn *target, long x)",
    "never": "void {}(long x)",
}
ENDS = {
    "plain": ("return r;",),
    "many": ("return r + a + h + i;",),
    "record": ("b.v[3] = r; return b;",),
    "apply": ("return r + target(x);", "return target(x);", "sink = target(x); return r;"),
    "never": ("sink = r; __builtin_trap();",),
}


@dataclass
class Writer:
    """One function on its way to text."""

    names: Names
    index: int
    before: list[str] = field(default_factory=list)  # what stands in front of the function
    labels: int = 0

    @property
    def function(self) -> Function:
        return self.names.program.function(self.index)

    def name(self, index: int) -> str:
        return self.names.text[index]

    def fresh(self, what: str) -> str:
        self.labels += 1
        return f"{self.name(self.index)}_{what}{self.labels}"

    def call(self, s: Statement, x: str = "x") -> str:
        """An expression of type long, whatever the callee's shape is."""
        name = self.name(s.callees[0])
        shape = self.names.program.function(s.callees[0]).shape
        if shape == "many":
            return f"{name}({x}, 1, r, 3, x, 5, 6, r, x + 8, r)"
        if shape == "record":
            return f"{name}({x}, big_of(r)).v[{s.form % 9}]"
        if shape == "apply":
            return f"{name}({self.name(s.callees[1])}, {x})"
        if shape == "never":
            return (
                f"(BIT({s.pick}) && BIT({s.pick + 1}) && !BIT({s.pick + 2}) ? {name}({x}), 0L : 1L)"
            )
        return f"{name}({x})"


def source(batch: Batch, unit: int) -> str:
    parts = [HEADER]
    for program in batch.programs:
        known = names(program)
        here = [i for i, f in program.there() if f.shape != "asm" and f.unit == unit]
        if here:
            parts += _declarations(known, unit)
            parts += [_function(Writer(known, index)) for index in here]
    return "\n".join(parts) + "\n"


def _declarations(known: Names, unit: int) -> list[str]:
    found = []
    for index, function in known.program.there():
        if index in known.static and function.unit != unit:
            continue
        start = "static " if index in known.static else ""
        end = " __attribute__((noreturn))" if function.shape == "never" else ""
        found.append(f"{start}{_signature(known, index)}{end};")
    return found


def _signature(known: Names, index: int) -> str:
    return SIGNATURES[known.program.function(index).shape].format(known.text[index])


def _function(writer: Writer) -> str:
    function = writer.function
    inner = [line for s in function.body for line in lines(writer, s)]
    ends = ENDS[function.shape]
    text = [f"{_prefix(writer)}{_signature(writer.names, writer.index)}", "{", "\tlong r = x;"]
    text += [f"\t{line}" for line in (*inner, ends[function.form % len(ends)])]
    return "\n".join([*writer.before, *text, "}", ""])


def _prefix(writer: Writer) -> str:
    function = writer.function
    kinds = {s.kind for s in statements(function.body)}
    chosen = ATTRIBUTES[function.form % len(ATTRIBUTES)]
    if kinds & {"recurse", "alloca", "vla"} or writer.index in writer.names.again:
        chosen = LASTING[function.form % len(LASTING)]
    if function.shape == "never":
        chosen = "cold, noinline, noreturn"
    if not writer.index:
        chosen = "noinline"
    if writer.index in writer.names.used:
        chosen = f"{chosen}, used" if chosen else "used"
    static = "static " if writer.index in writer.names.static else ""
    return f"{static}__attribute__(({chosen})) " if chosen else static


def lines(writer: Writer, s: Statement) -> list[str]:
    if writer.function.shape == "never" and s.kind in ("early", "tail"):
        return []
    text = KINDS[s.kind](writer, s)
    condition = f"if (BIT({s.bit})) " if s.bit is not None else ""
    return [f"{condition}{{", *(f"\t{line}" for line in text), "}"]


def _touch(_: Writer, s: Statement) -> list[str]:
    kind = ("volatile char", "volatile int", "volatile long")[s.form % 3]
    count = max(1, s.size // (1, 4, 8)[s.form % 3])
    return [f"{kind} b[{count}]; TOUCH(b, {count});"]


def _call(w: Writer, s: Statement) -> list[str]:
    forms = ("r += {};", "r ^= {} + x;", "sink = {};", "r = {};")
    return [forms[s.form % 4].format(w.call(s))]


RESULTS = {"record": "big_of({})"}


def _leave(w: Writer, value: str) -> str:
    return f"return {RESULTS.get(w.function.shape, '{}').format(value)};"


def _early(w: Writer, s: Statement) -> list[str]:
    return [f"if (BIT({s.pick}) && !BIT({s.pick + 1})) {_leave(w, 'r + 1')}"]


def _tail(w: Writer, s: Statement) -> list[str]:
    condition = f"if (!BIT({s.pick}) || BIT({s.pick + 1})) " if s.form % 3 else ""
    return [condition + _leave(w, w.call(s))]


def _loop(w: Writer, s: Statement) -> list[str]:
    inner = [f"\t{line}" for inside in s.body for line in lines(w, inside)]
    return [
        f"for (long i = 0; i <= (long)(TRIPLE({s.pick}) & 3); i++) {{",
        *inner,
        "\tr += i;",
        "}",
    ]


def _switch(w: Writer, s: Statement) -> list[str]:
    cases = [
        f"\tcase {n}: r += {w.name(c)}(x + 0) * {n + 3}; break;" for n, c in enumerate(s.callees)
    ]
    return [
        f"switch (TRIPLE({s.pick})) {{",
        *cases,
        "\tcase 6: sink = x; break;",
        "\tcase 7: r = 5 - r; break;",
        "\tdefault: r ^= 77;",
        "}",
    ]


def _goto(w: Writer, s: Statement) -> list[str]:
    labels = [w.fresh("l") for _ in s.callees]
    end = w.fresh("end")
    text = [
        f"static void *const places[] = {{{', '.join(f'&&{label}' for label in labels)}}};",
        f"goto *places[TRIPLE({s.pick}) % {len(labels)}];",
    ]
    for label, callee in zip(labels, s.callees, strict=True):
        text += [f"{label}: r += {w.name(callee)}(x); goto {end};"]
    return [*text, f"{end}: r++;"]


def _pointer(w: Writer, s: Statement) -> list[str]:
    name = w.name(s.callees[0])
    forms = (
        f'fn *p = {name}; __asm__("" : "+r"(p)); r += p(x);',
        f"fn *volatile p = {name}; r += p(x);",
        f'unsigned long p = (unsigned long){name}; __asm__("" : "+r"(p)); r += ((fn *)p)(x);',
        f'fn *p = {name}; __asm__("" : "+r"(p)); if (BIT({s.pick})) {_leave(w, "p(x)")}',
    )
    return [forms[s.form % (3 if w.function.shape == "never" else 4)]]


def _table(w: Writer, s: Statement) -> list[str]:
    every = ", ".join(w.name(c) for c in s.callees)
    const = ("static fn *const t[]", "static fn *volatile t[]", "fn *const volatile t[]")[
        s.form % 3
    ]
    return [f"{const} = {{{every}}}; r += t[TRIPLE({s.pick}) % {len(s.callees)}](x);"]


def _global(w: Writer, s: Statement) -> list[str]:
    """A pointer that held another function before, or none."""
    slot, setter = w.fresh("slot"), w.fresh("set")
    first = f" = {w.name(s.callees[1])}" if s.form % 2 else ""
    w.before += [
        f"static fn *volatile {slot}{first};",
        f"static __attribute__((noinline)) void {setter}(void)"
        f" {{ {slot} = {w.name(s.callees[0])}; }}",
    ]
    return [f"{setter}(); r += {slot}(x);"]


def _record_of(w: Writer, s: Statement) -> list[str]:
    a, b = (w.name(c) for c in s.callees)
    record = w.fresh("ops")
    w.before += [
        f"static const struct {{ long key; fn *one, *two; }} {record}[2] ="
        f" {{{{1, {a}, {b}}}, {{2, {b}, {a}}}}};"
    ]
    return [f"const volatile typeof({record}[0]) *o = &{record}[BIT({s.pick})]; r += o->two(x);"]


def _relative(w: Writer, s: Statement) -> list[str]:
    table = w.fresh("offsets")
    section = (".rodata", ".text", ".data.rel.ro")[s.form % 3]
    flags = {".text": "ax", ".rodata": "a", ".data.rel.ro": "aw"}[section]
    flags = f'\\"{flags}\\"'
    words = ", ".join(f"{w.name(c)} - {table}" for c in s.callees)
    text = f".pushsection {section}, {flags}\\n.p2align 2\\n.globl {table}\\n{table}: .word {words}"
    w.before += [
        f'__asm__("{text}\\n.popsection\\n");',
        f'extern const int {table}[] __attribute__((visibility("hidden")));',
    ]
    return [
        f"const volatile int *t = {table};",
        f"r += ((fn *)((const char *){table} + t[TRIPLE({s.pick}) % {len(s.callees)}]))(x);",
    ]


def _difference(w: Writer, s: Statement) -> list[str]:
    a, b = (w.name(c) for c in s.callees)
    return [
        f"unsigned long p = (unsigned long){a}, q = (unsigned long){b} - p;",
        '__asm__("" : "+r"(p)); __asm__("" : "+r"(q)); r += ((fn *)(p + q))(x);',
    ]


def _conditional(w: Writer, s: Statement) -> list[str]:
    a, b = (w.name(c) for c in s.callees)
    return [f"r += (BIT({s.pick}) ? {a} : {b})(x);"]


def _alloca(_: Writer, s: Statement) -> list[str]:
    step = min(s.size, MOST_DYNAMIC // 16)
    return [
        f"long n = 1 + TRIPLE({s.pick}) * {step};",
        "volatile char *b = __builtin_alloca(n); TOUCH(b, n);",
    ]


def _vla(_: Writer, s: Statement) -> list[str]:
    step = min(s.size, MOST_DYNAMIC // 16)
    return [f"long n = 1 + TRIPLE({s.pick}) * {step}; volatile char b[n]; TOUCH(b, n);"]


def _aligned(_: Writer, s: Statement) -> list[str]:
    align = (32, 64, 128, 256)[s.form % 4]
    return [f"volatile char b[{s.size}] __attribute__((aligned({align}))); TOUCH(b, {s.size});"]


def _atomic(_: Writer, s: Statement) -> list[str]:
    forms = (
        "r += __atomic_fetch_add(&mailbox[0], x, 5);",
        "r += __atomic_exchange_n(&mailbox[1], x, 4);",
        "unsigned long old = r; r += __atomic_compare_exchange_n(&mailbox[0], &old, x, 0, 5, 5);",
        "r += __atomic_fetch_or((unsigned char *)&mailbox[2], 1, 3);",
    )
    return [forms[s.form % 4]]


def _asm(text: str, clobbers: str, inputs: str = "") -> list[str]:
    return [f'__asm__ volatile("{text}" : : {inputs} : {clobbers});']


def _push(_: Writer, s: Statement) -> list[str]:
    step = 16 * (1 + s.form % 15)
    forms = (
        f"sub sp, sp, #{step}\\nstr xzr, [sp]\\nadd sp, sp, #{step}",
        f"stp xzr, xzr, [sp, #-{step}]!\\nldp xzr, x9, [sp], #{step}",
        f"str x9, [sp, #-{step}]!\\nldr x9, [sp], #{step}",
        f"mov x9, #{step * 16}\\nsub sp, sp, x9\\nstr xzr, [sp]\\nadd sp, sp, x9",
        f"str q0, [sp, #-{step}]!\\nadd sp, sp, #{step}",
    )
    return _asm(forms[s.form % 5], '"x9", "memory"')


def _copied(_: Writer, s: Statement) -> list[str]:
    """SP set from a copy that was moved; x10 holds the one to come back to."""
    step = 16 * (1 + s.form % 15)
    forms = (
        f"mov x9, sp\\nstp xzr, xzr, [x9, #-{step}]!\\nmov sp, x9\\nstr xzr, [sp]",
        f"sub x9, sp, #{step}\\nmov sp, x9\\nstp xzr, x9, [sp]",
        f"sub x9, x10, #{step}\\nand x9, x9, #-64\\nmov sp, x9\\nstr xzr, [sp]",
    )
    text = f"mov x10, sp\\n{forms[s.form % 3]}\\nmov sp, x10"
    return _asm(text, '"x9", "x10", "memory"')


CALL_CLOBBERS = ", ".join(f'"x{n}"' for n in (*range(1, 19), 30)) + ', "memory", "cc"'


def _below(w: Writer, s: Statement) -> list[str]:
    """A call from assembly inside C, with SP moved first."""
    step = 16 * (1 + s.form % 31)
    text = f"sub sp, sp, #{step}\\nbl {w.name(s.callees[0])}\\nadd sp, sp, #{step}"
    floats = ", ".join(f'"v{n}"' for n in (*range(8), *range(16, 32)))
    return [
        'register long a __asm__("x0") = x;',
        f'__asm__ volatile("{text}" : "+r"(a) : : {CALL_CLOBBERS}, {floats}); r += a;',
    ]


def _pressure(w: Writer, s: Statement) -> list[str]:
    """Values that live over a call: callee-saved registers, and then spilled ones."""
    count = 3 + s.form % 14
    values = [f"long v{n} = sink + {n};" for n in range(count)]
    total = " + ".join(f"v{n}" for n in range(count))
    return [" ".join(values), f"r += {w.call(s)};", f"r += {total};"]


def _doubles(w: Writer, s: Statement) -> list[str]:
    count = 1 + s.form % 10
    values = [f"double v{n} = (double)sink * {n}.5;" for n in range(count)]
    total = " + ".join(f"v{n}" for n in range(count))
    return [" ".join(values), f"r += {w.call(s)};", f"r += (long)({total});"]


def _frame(_: Writer, s: Statement) -> list[str]:
    forms = (
        "sink = (long)__builtin_frame_address(0);",
        "sink = (long)__builtin_return_address(0);",
    )
    return [forms[s.form % 2]]


def _recurse(w: Writer, s: Statement) -> list[str]:
    """Itself; or who calls it, by `back`."""
    name = w.name(s.callees[0] if s.callees else w.index)
    forms = (
        "r += {}(x - (1L << {}));",
        "sink = {}(x - (1L << {})) + r;",
        "r = {}(x - (1L << {}));",
    )
    return [f"if ((unsigned long)x >> {STEP}) {forms[s.form % 3].format(name, STEP)}"]


def _weak(_: Writer, __: Statement) -> list[str]:
    return ["if (not_there) r += not_there(x);"]


def _vector(_: Writer, s: Statement) -> list[str]:
    count = 8 + s.form % 40
    return [
        f"volatile long in[{count}]; long v[{count}];",
        f"for (int i = 0; i < {count}; i++) in[i] = x + i;",
        f"for (int i = 0; i < {count}; i++) v[i] = in[i] * 3;",
        f"for (int i = 0; i < {count}; i++) r += v[i] ^ i;",
    ]


def _trap(_: Writer, s: Statement) -> list[str]:
    return [f"if (BIT({s.pick}) && BIT({s.pick + 1}) && !BIT({s.pick + 2})) __builtin_trap();"]


def _setjmp(w: Writer, s: Statement) -> list[str]:
    """Out of calls at once, by measure.c's own setjmp and longjmp."""
    return [
        "long place[13]; volatile long before = r;",
        f"if (!place_save(place)) {{ before += {w.call(s)};",
        f"if (BIT({s.pick})) place_return(place); }} r += before;",
    ]


KINDS: dict[str, Callable[[Writer, Statement], list[str]]] = {
    "touch": _touch,
    "call": _call,
    "early": _early,
    "tail": _tail,
    "loop": _loop,
    "switch": _switch,
    "goto": _goto,
    "pointer": _pointer,
    "table": _table,
    "global": _global,
    "record_of": _record_of,
    "relative": _relative,
    "difference": _difference,
    "conditional": _conditional,
    "alloca": _alloca,
    "vla": _vla,
    "aligned": _aligned,
    "atomic": _atomic,
    "push": _push,
    "copied": _copied,
    "below": _below,
    "pressure": _pressure,
    "doubles": _doubles,
    "frame": _frame,
    "recurse": _recurse,
    "back": _recurse,
    "weak": _weak,
    "vector": _vector,
    "trap": _trap,
    "setjmp": _setjmp,
}
