"""harness.dev.mutants: the operators on small samples, what is kept and accepted, the score; the
whole chain on one planted mutant that a test must kill, one that must live, one that only a number
shows."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.dev.mutants import accepted, document, inassembly, inc, inpytest, inpython, made
from harness.dev.mutants.attempt import Attempt
from harness.dev.mutants.bits import name_of
from harness.dev.mutants.campaign import Campaign, Pair
from harness.dev.mutants.kept import Kept
from harness.dev.mutants.mutant import OPERATORS, Mutant
from harness.dev.mutants.outcome import STATUSES, Outcome, Score
from harness.dev.mutants.reach import FUZZ_TEST, IMAGE_TESTS, Map, Reach, first, fuzzers, opened
from harness.dev.mutants.store import Store, alone
from harness.dev.mutants.tree import Tree, digest
from harness.dev.mutants.uses import Uses
from harness.errors import GoldenError, HarnessError
from harness.paths import ROOT
from harness.tools import toolchain
from harness.verdict.golden import load

pytest_plugins = ["pytester"]

# --- operators --------------------------------------------------------------------------------

# A statement, what its operator is called, and all that this operator makes of it.
Rows = tuple[tuple[str, str, list[str]], ...]
C: Rows = (
    ("if (a)\n\t\tf();", "condition", ["if (!(a))\n\t\tf();"]),
    ("if (a && b)\n\t\tf();", "condition", ["if (!(a && b))\n\t\tf();", "if (a || b)\n\t\tf();"]),
    ("if (a == b)\n\t\tf();", "condition", ["if (a != b)\n\t\tf();"]),
    ("x = a ? b : c;", "condition", ["x = !(a) ? b : c;"]),
    ("x = a < b;", "boundary", ["x = a <= b;"]),
    ("x = a >= b;", "boundary", ["x = a > b;"]),
    ("x = 7;", "constant", ["x = 8;"]),
    ("x = 0xfUL;", "constant", ["x = 0x10UL;"]),
    ("lock(&a);", "call", [";"]),
    ("f(a,\n\t  b);", "call", [";\n"]),
    ("dsb_ish();", "barrier", [";"]),
    ('__asm__ volatile("dsb sy" ::: "memory");', "barrier", [";"]),
    ("x = READ | WRITE;", "bit", ["x = READ;", "x = WRITE;"]),
    ("return a;", "return", ["return 0;"]),
    ("return true;", "return", ["return false;"]),
    ("return 0;", "return", ["return 1;"]),
    ("x->y = a;", "assignment", [";"]),
    ("count++;", "assignment", [";"]),
    ("return NULL;", "return", []),
)  # fmt: skip


@pytest.mark.parametrize(("statement", "operator", "changed"), C)
def test_c(statement: str, operator: str, changed: list[str]) -> None:
    source = f"static int probe(int a)\n{{\n\t{statement}\n}}\n"
    expected = [source.replace(statement, text) for text in changed]
    assert applied(inc.mutants("kernel/x.c", source.encode()), source, operator) == expected


MACRO = "#define PAGE (VALID | (3UL << 6) | \\\n\tSHARED)\n"


def test_a_macro_is_changed_where_it_is_written() -> None:
    found = inc.mutants("kernel/x.h", MACRO.encode())
    assert [(m.operator, m.old, m.new, m.line) for m in found] == [
        ("bit", "VALID", "0", 1),
        ("bit", "(3UL << 6)", "0", 1),
        ("constant", "3UL", "4UL", 1),
        ("constant", "6", "7", 1),
        ("bit", "SHARED", "0", 1),
    ]
    assert {m.function for m in found} == {"PAGE"}


def test_what_is_the_compilers_is_left_alone() -> None:
    source = b'_Static_assert(sizeof(int) == 4, "f");\nINJECT_SITE(heap, alloc, 0);\n'
    assert [m.operator for m in inc.mutants("kernel/x.c", source)] == ["constant"]


ASSEMBLY: Rows = (
    ("dsb\tish", "barrier", ["nop"]),
    ("tlbi\tvmalle1", "barrier", ["nop"]),
    ("bl\tboot_main", "call", ["nop"]),
    ("msr\tsp_el0, x1", "assignment", ["nop"]),
    ("b.lo\t1b", "condition", ["b.hs\t1b"]),
    ("b.lo\t1b", "boundary", ["b.ls\t1b"]),
    ("cbz\tx0, 1f", "condition", ["cbnz\tx0, 1f"]),
    ("add\tx0, x0, #16", "constant", ["add\tx0, x0, #17"]),
)


@pytest.mark.parametrize(("instruction", "operator", "changed"), ASSEMBLY)
def test_assembly(instruction: str, operator: str, changed: list[str]) -> None:
    source = f"/* bl\tnothing\n\tbl\tnothing */\nprobe:\n\t{instruction}\t/* why */\n"
    expected = [source.replace(instruction, text) for text in changed]
    found = inassembly.mutants("kernel/x.S", source.encode())
    assert applied(found, source, operator) == expected
    assert {m.function for m in found} == {"probe"}


PYTHON: Rows = (
    ("if a:\n        f()", "condition", ["if (not (a)):\n        f()"]),
    ("x = a is None", "condition", ["x = a is not None"]),
    ("x = a and b", "condition", ["x = a or b"]),
    ("x = a <= b", "boundary", ["x = a < b"]),
    ("x = 7", "constant", ["x = 8"]),
    ("x = True", "constant", ["x = False"]),
    ("f(a)", "call", ["pass"]),
    ("raise ValueError(a)", "call", ["pass"]),
    ("x = a | b", "bit", ["x = a", "x = b"]),
    ("return a", "return", ["return None"]),
    ("self.x = a", "assignment", ["pass"]),
    ("x += a", "assignment", ["pass"]),
    ("x: int | None = None", "bit", []),
    ("return None", "return", []),
)


@pytest.mark.parametrize(("statement", "operator", "changed"), PYTHON)
def test_python(statement: str, operator: str, changed: list[str]) -> None:
    source = f'"""Text."""\ndef probe(self, a: "int | str"):\n    {statement}\n'
    expected = [source.replace(statement, text) for text in changed]
    assert applied(inpython.mutants("harness/x.py", source.encode()), source, operator) == expected


def test_what_python_does_not_run_is_left_alone() -> None:
    source = b'if TYPE_CHECKING:\n    f(1)\nif __name__ == "__main__":\n    f(1)\n'
    assert not inpython.mutants("harness/x.py", source)


def applied(mutants: list[Mutant], source: str, operator: str) -> list[str]:
    return [m.applied(source.encode()).decode() for m in mutants if m.operator == operator]


def test_every_operator_is_made_and_no_line_moves(everything: dict[str, list[Mutant]]) -> None:
    mutants = [mutant for found in everything.values() for mutant in found]
    assert {mutant.operator for mutant in mutants} == set(OPERATORS)
    assert len({mutant.key for mutant in mutants}) == len(mutants) > 10_000
    for name, found in everything.items():
        source = (ROOT / name).read_bytes()
        lines = source.count(b"\n")
        assert all(mutant.applied(source).count(b"\n") == lines for mutant in found), name


def test_a_mutant_keeps_its_name_where_its_line_moves() -> None:
    source = b"int f(int a)\n{\n\treturn a < 3;\n}\n"
    before, after = (inc.mutants("kernel/x.c", text) for text in (source, b"\n\n" + source))
    assert [m.key for m in before] == [m.key for m in after]
    with pytest.raises(ValueError, match="stands there"):
        after[0].applied(source)


# --- which ones -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything() -> dict[str, list[Mutant]]:
    names = [str(p.relative_to(ROOT)) for p in ROOT.glob("kernel/**/*.*")]
    names += [str(p.relative_to(ROOT)) for p in ROOT.glob("harness/**/*.py")]
    return made.mutants(ROOT, sorted(names))


def test_the_same_seed_is_the_same_sample(everything: dict[str, list[Mutant]]) -> None:
    mutants = [mutant for found in everything.values() for mutant in found]
    one, again, other = (made.sample(mutants, 200, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert len(one) == 200
    assert {m.folder for m in one} == {m.folder for m in mutants}


def test_files_are_named_or_refused() -> None:
    names = ["harness/serial/log.py", "kernel/base/fdt.c", "kernel/mem/heap.c"]
    found = {name: inc.mutants(name, SMALL) for name in names}

    def chosen(files: str) -> list[str]:
        return sorted({mutant.path for mutant in made.named(files, found)})

    assert chosen("") == names
    assert chosen("kernel/mem kernel/mem/heap.c") == names[2:]
    assert chosen("./kernel/*/*.c") == names[1:]
    assert len(made.named("kernel/mem/heap.c:3", found)) == 3
    for wrong in ("kernel/mme", "kernel/mem/heap.c:2"):
        with pytest.raises(HarnessError, match=f"FILES={wrong} names nothing"):
            made.named(wrong, found)


USES = Uses(
    {
        "kernel/a.h": "#define SIZE 4\n#define TWICE \\\n\t(2 * SIZE)\n",
        "kernel/b.h": '#include "a.h"\nstruct b { int x[SIZE]; };\n',
        "kernel/b.c": '#include "b.h"\n\nint f(void) { return TWICE; }\nint OVERSIZE;\n',
    }
)


def test_a_macro_takes_effect_where_it_is_used() -> None:
    assert USES.of_macro("SIZE") == {("kernel/b.h", 2), ("kernel/b.c", 3)}
    assert USES.of_macro("f") == USES.of_macro("") == set()
    assert USES.of_header("kernel/a.h") == {"kernel/a.h", "kernel/b.h", "kernel/b.c"}


def test_what_the_fuzzers_include_is_fuzzed_last() -> None:
    class Nothing:
        def executing(self, path: str, lines: object) -> set[str]:
            return set()

        def at_or_before(self, path: str, line: int) -> int:
            return line

        def weights(self, path: str) -> dict[str, int]:
            return {}

    (mutant, *_) = inc.mutants("kernel/x.c", SMALL)
    reach = Reach({False: Map(Nothing(), {})}, USES, {"kernel/x.c": ["heap"]})
    assert reach.tests(mutant).tests == (FUZZ_TEST.format("heap"),)
    assert fuzzers(ROOT)[HEAP] == ["heap"]


# --- which tests -------------------------------------------------------------------------------

BEFORE = {"kernel/a.c": "one\ntwo\nthree\n", "kernel/b.c": "b\n"}
SEEN = [("kernel/a.c", 1, "s::x"), ("kernel/a.c", 3, "s::x"), ("kernel/a.c", 3, "t::y")]


def kept() -> Kept:
    return Kept(texts=BEFORE).again(["s::x", "t::y"], [*SEEN, ("kernel/b.c", 1, "t::y")])


def test_a_map_is_carried_in_the_lines_that_are_still_there(tmp_path: Path) -> None:
    after = {"kernel/a.c": "new\none\nthree\n"}
    kept().carried(after).save(tmp_path / "kept")
    found = Kept.load(tmp_path / "kept")
    assert [sorted(found.executing("kernel/a.c", [n])) for n in (1, 2, 3)] == [
        [],
        ["s::x"],
        ["s::x", "t::y"],
    ]
    assert not found.executing("kernel/b.c", None)  # a file that is gone
    assert found.weights("kernel/a.c") == {"s::x": 2, "t::y": 1}
    assert found.texts == after


def test_a_test_that_is_measured_again_is_forgotten_first() -> None:
    found = kept().again(["s::x"], [("kernel/a.c", 2, "s::x"), ("kernel/a.c", 1, "not::measured")])
    assert found.executing("kernel/a.c", None) == {"s::x", "t::y"}
    assert found.executing("kernel/a.c", [1]) == set()
    assert found.executing("kernel/a.c", [2]) == {"s::x"}
    assert found.executing("kernel/a.c", [3]) == {"t::y"}


def test_a_macro_in_an_initializer_is_tried_where_that_begins() -> None:
    source = b"#define BIT (1 << 7)\n\nstruct s s = {\n\t.a = BIT,\n};\n"
    known = Kept().again(["a::1", "a::2"], [("kernel/x.c", 3, "a::1"), ("kernel/x.c", 5, "a::2")])
    mutant = next(m for m in inc.mutants("kernel/x.c", source) if m.function == "BIT")
    reach = Reach(
        {False: Map(known, {"a::1": 1.0, "a::2": 1.0})}, Uses({"kernel/x.c": source.decode()})
    )
    chosen = reach.tests(mutant)
    assert (chosen.by, chosen.tests[0]) == ("macro", "a::1")
    assert "a::2" not in chosen.tests


def test_what_uses_a_macro_most_is_tried_first() -> None:
    code = "int x(void)\n{\n\treturn BIT;\n}\n"
    texts = {"kernel/x.h": "#define BIT (1 << 7)\n", "kernel/x.c": code}
    seen = [("kernel/x.c", 3, "s::much"), ("kernel/x.c", 4, "s::much"), ("kernel/x.c", 3, "s::a")]
    known = Map(Kept().again(["s::a", "s::much"], seen), {"s::a": 1.0, "s::much": 1.0})
    (mutant, *_) = inc.mutants("kernel/x.h", texts["kernel/x.h"].encode())
    assert Reach({False: known}, Uses(texts)).tests(mutant).tests[:2] == ("s::much", "s::a")


def test_the_best_of_each_file_of_tests_comes_first() -> None:
    tests = ["a::1", "a::2", "b::1"]
    seen = [("kernel/x.c", line, test) for n, test in enumerate(tests) for line in range(3, 9 - n)]
    known = Map(Kept().again(tests, seen), dict.fromkeys(tests, 1.0))
    (mutant, *_) = inc.mutants("kernel/x.c", SMALL)
    ranked = Reach({False: known}, USES).tests(mutant).tests
    assert ranked == ("a::1", "b::1", "a::2", *IMAGE_TESTS)


def test_a_mutant_is_tried_on_so_many_boots_at_most() -> None:
    apart = [*IMAGE_TESTS, "harness/tests/hw/test_prologue.py", FUZZ_TEST.format("heap")]
    assert first(["a", "b", "c", *apart], 2) == ["a", "b", *apart]


def test_what_is_named_in_a_list_is_run_and_its_order_kept(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test by its name, a whole file by its own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(
        test_a="def test_1(): pass\ndef test_2(): pass\n", test_b="def test_3(): pass\n"
    )
    listing, report = pytester.path / "tests", pytester.path / "report"
    listing.write_text("60 test_b.py\n60 test_a.py::test_2\n")
    plugin = ["-p", "harness.dev.mutants.inpytest", f"--mutant-tests={listing}"]
    options = ["-p", "no:cacheprovider", "-v", *plugin, f"--mutant-report={report}"]
    done = pytester.runpytest_subprocess(*options)
    ran = [line.split()[0] for line in done.outlines if "PASSED" in line]
    assert ran == ["test_b.py::test_3", "test_a.py::test_2"]


# --- accepted ---------------------------------------------------------------------------------

ENTRY = """[[equivalent]]
file = "kernel/x.c"
in = "f"
text = "<"
instead = "<="
why = "a is never 3"
"""
SMALL = b"int f(int a)\n{\n\treturn a < 3;\n}\n"


def test_an_accepted_mutant_is_found_by_what_stands_there() -> None:
    mutants = inc.mutants("kernel/x.c", b"\n" + SMALL)
    found = accepted.matched(accepted.parse(ENTRY), mutants)
    assert [m.old for m in mutants if m.key in found] == ["<"]


def test_a_stale_entry_is_an_error() -> None:
    mutants = inc.mutants("kernel/x.c", SMALL.replace(b"<", b">"))
    with pytest.raises(accepted.AcceptedError, match="1 of 1 entries find no mutant") as stale:
        accepted.matched(accepted.parse(ENTRY), mutants)
    assert "kernel/x.c, in f: '<' → '<='" in str(stale.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ENTRY.replace("why", "because"), "lacks why"),
        (ENTRY.replace("a is never 3", " "), "gives no reason"),
        (ENTRY + "line = 3\n", "has line"),
        ("[[equal]]\n", "expected"),
        ("[[", "is not TOML"),
    ],
)
def test_a_malformed_entry_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(accepted.AcceptedError, match=problem):
        accepted.parse(text)


def test_the_committed_entries_find_their_mutants(everything: dict[str, list[Mutant]]) -> None:
    entries = accepted.parse((ROOT / accepted.FILE).read_text("utf-8"))
    accepted.matched(entries, [mutant for found in everything.values() for mutant in found])


# --- kept, and told ---------------------------------------------------------------------------


def test_an_outcome_holds_for_its_tree_only(tmp_path: Path) -> None:
    outcome = Outcome("k", "killed", "test", "verdict", "expected a, seen b", 3, "line", 0.5)
    Store(tmp_path / "results", "tree").put(outcome)
    with (tmp_path / "results").open("a") as file:
        file.write('{"tree": "tree", "key"')  # a run that was killed while it wrote
    assert Store(tmp_path / "results", "tree").get("k") == outcome
    assert Store(tmp_path / "results", "another").get("k") is None


def test_one_campaign_at_a_time(tmp_path: Path) -> None:
    with (
        alone(tmp_path),
        pytest.raises(
            HarnessError, match=f"another `make mutants` runs here: process {os.getpid()}"
        ),
        alone(tmp_path),
    ):
        pass


def test_the_score_leaves_out_what_nothing_can_tell() -> None:
    score = Score.of(STATUSES)
    assert (score.named, score.counted, score.all) == (2, 1, 5)
    assert Score.of(["killed"] * 9 + ["survived"]).interval() == pytest.approx(
        (59.6, 98.2), abs=0.1
    )
    assert Score.of([]).interval() == (0.0, 100.0)


def test_the_page_says_what_was_measured() -> None:
    pairs = list(zip(inc.mutants("kernel/x.c", SMALL), outcomes(), strict=False))
    measured = document.Measured("abc+", "make mutants", {"kernel": 9}, pairs, "gcc 12", "7.2")
    page = document.trust(measured)
    assert "commit abc+ (gcc 12, QEMU 7.2)" in page
    assert "| kernel | 9 | 3 | 1 | 0 | 1 | 1 | 0 | 0 | 0 | 0 | 33 % | 6–79 |" in page
    assert "- `kernel/x.c:3: boundary: < → <=`: counted" in page


def outcomes() -> Iterator[Outcome]:
    yield Outcome("1", "killed", "t", "verdict")
    yield Outcome("2", "counted", "t", "number")
    yield Outcome("3", "survived")


def test_a_reason_has_a_class() -> None:
    class Headed(AssertionError):
        headline = "expected caught by=mmu, seen survived"

    assert inpytest.cause(Headed()) == ("verdict", Headed.headline)
    assert inpytest.cause(GoldenError("g", path=Path("p")))[0] == "machine"
    assert inpytest.cause(AssertionError("one\ntwo")) == ("assertion", "one")
    assert inpytest.cause(KeyError("k")) == ("exception", "KeyError: 'k'")
    assert inpytest.cause(inpytest.TookTooLong("t"))[0] == "timeout"


# --- the campaign -----------------------------------------------------------------------------


class Interrupting(Attempt):
    """No build, no test: the third mutant is where somebody types Ctrl-C."""

    tried: list[str]

    def __call__(self, mutant: Mutant) -> Outcome:
        if len(self.tried) == 2:
            raise KeyboardInterrupt
        self.tried.append(mutant.key)
        return Outcome(mutant.key, "killed")


def test_an_interrupted_run_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tree, "__enter__", lambda tree: tree)
    monkeypatch.setattr(Tree, "image", lambda _: "image")
    monkeypatch.setattr("harness.dev.mutants.campaign.Attempt", Interrupting)
    mutants = inc.mutants("kernel/x.c", SMALL)
    assert len(mutants) == 3

    def run(tried: list[str]) -> list[Pair]:
        Interrupting.tried = tried
        store = Store(tmp_path / "results", "tree")
        campaign = Campaign(tmp_path, tmp_path, store, {}, 1, lambda _: None)
        return campaign.run(mutants, lambda _: Reach({}, Uses({})))

    before: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(before)
    again: list[str] = []
    assert [o.status for _, o in run(again)] == ["killed"] * 3
    assert before == [m.key for m in mutants[:2]]
    assert again == [m.key for m in mutants[2:]]


HEAP = "kernel/mem/heap.c"
NAMED = "scenarios/test_heap.py::test_heap[double_free]"
NUMBERS = "scenarios/test_cost.py::test_cost[alloc]"
# In heap.c, and what must come of it on these two tests: one names it, one's golden has only bands,
# and neither looks at how many failures there were.
PLANTED = {
    ("heap_free", "condition"): "killed",
    ("heap_alloc", "f.record->owner = owner_from(caller);"): "counted",
    ("refuse_alloc", "h->failures++;"): "survived",
}


def test_the_whole_chain(tmp_path: Path) -> None:
    found = inc.mutants(HEAP, (ROOT / HEAP).read_bytes())
    assert found
    planted = [pick(found, *place) for place in PLANTED]
    store = Store(tmp_path / "results", digest(ROOT))

    def reach(tree: Tree) -> Reach:
        known = opened(ROOT, tree, 1, [NAMED, NUMBERS], [False])
        known.know_functions(found)
        known.fuzzers = {}  # heap.c's finds the second, too
        assert (tmp_path / next(tmp_path.glob("kernel-*")) / "bits" / name_of(NAMED)).exists()
        return known

    campaign = Campaign(ROOT, tmp_path, store, {}, 1, lambda _: None)
    pairs = campaign.run(planted, reach)
    seen = [outcome.status for _, outcome in pairs]
    recorded = load(ROOT / "golden/heap/off_by_one.log")
    if recorded and recorded.toolchain != toolchain():  # it may lay heap_alloc() out anew
        seen = [*seen[:2], "survived" if seen[2] == "counted" else seen[2]]
    assert seen == list(PLANTED.values()), pairs
    killed, counted = pairs[0][1], pairs[1][1]
    assert (killed.by, killed.cause) == (NAMED, "verdict")
    assert counted.why.startswith("instructions ")
    assert (tmp_path / "tree-0" / HEAP).read_bytes() == (ROOT / HEAP).read_bytes()


def pick(found: list[Mutant], function: str, what: str) -> Mutant:
    return next(m for m in found if m.function == function and what in (m.old, m.operator))


def test_the_committed_page_adds_up() -> None:
    text = (ROOT / "docs/trust.md").read_text("utf-8")
    tables = [
        part.partition("\n\n")[0].splitlines()[2:] for part in text.split("| of | tried |")[1:]
    ]
    assert len(tables) == 2
    for table in tables:
        rows = [[number(cell) for cell in cells(line)[2:]] for line in table]
        assert [sum(column) for column in zip(*rows[:-1], strict=True)][:9] == rows[-1][:9]
        for tried, *counts, percent, _ in rows:
            statuses = [s for s, n in zip(STATUSES, counts, strict=True) for _ in range(n)]
            score = Score.of(statuses)
            assert tried == len(statuses)
            assert percent == (round(score.percent) if score.all else 0)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def number(cell: str) -> int:
    return int(re.sub(r"\D.*", "", cell) or 0)
