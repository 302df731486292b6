"""Fault injection: every call that may fail is made to fail, by the kernel itself (inject.sweep),
by the boot line (fault=), by the host, which arms the kernel's rule in a saved machine, and by GDB
from outside. All must see the same.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness import tools
from harness.paths import KERNEL, ROOT
from harness.qemu.fast.warm import WarmPool, saved_at
from harness.run.boot import boot
from harness.run.session import Open, Session, soon
from harness.scenario import Case, Control, Scenario, Walk
from harness.serial.log import Record, parse_lines
from harness.verdict import golden

BOOT_SWEEP = "inject/boot.log"
GOLDENS = (BOOT_SWEEP,)

CLEAN = "nothing is wrong: what the check finds when it is on, and not when it is off, is `leaky`"
RULE = "what the rule lets fail is asked for, and nothing illegal comes of it"
EXPECTED = "each abort is a page of growth, or the expected end; nothing is said about either"


def once(name: str, args: str, **machine: Any) -> Scenario:
    return Scenario("inject.once", "ok", args, name=name, uncontrolled=RULE, **machine)


SCENARIOS = [
    Scenario(
        "inject.sweep",
        "ok",
        triggers=("boot", "serial", "gdb"),
        aborts=33,
        gdb_view=EXPECTED,
        uncontrolled=CLEAN,
    ),
    # From the nth on nothing works: whoever cleans up after a failure may not need what failed.
    Scenario(
        "inject.sweep",
        "ok",
        "times=1000",
        name="from-there-on",
        aborts=33,
        gdb_view=EXPECTED,
        uncontrolled=CLEAN,
    ),
    Scenario("inject.sweep", "ok", "op=cpu", name="cpu", cpus=2, uncontrolled=CLEAN),
    Scenario(
        "inject.sweep", "ok", "op=tagged", name="tagged", cpu="max", mte=True, uncontrolled=CLEAN
    ),
    Scenario(
        "inject.sweep",
        "caught by=leak-check",
        "op=leaky",
        name="leaky",
        controls=(Control("protect=-leak-check", "survived", golden=True),),
    ),
    # A pool whose making failed handed out its own struct.
    Scenario(
        "inject.unmade",
        "caught by=pool-check",
        controls=(Control("protect=-pool-check,-poison", "survived", golden=True),),
    ),
    Scenario("inject.once", "ok", aborts=2, gdb_view=EXPECTED, uncontrolled=CLEAN),
    once("nth", "op=thread fault=page.alloc,nth=2,who=lab"),
    once("every", "fault=page.alloc,every=3,times=3,who=lab"),
    once("prob", "fault=map.page,prob=30,seed=7,who=lab"),
    once("space", "op=stack fault=page.alloc,space=8K,who=lab"),
    once("who", "op=thread fault=pool.alloc,who=nobody"),
    # Asked for by a fault handler, by a prologue's check: nobody can be told, so the thread ends.
    once("growing", "op=demand fault=grow.pages,nth=4", aborts=1, gdb_view=EXPECTED),
    once("moving", "op=copy fault=grow.take,nth=4"),
    # The page that the unit of tags is tried on is given, and goes back; the next is not.
    once("tagged-unit", "op=tagged fault=page.alloc,nth=2,who=lab", cpu="max", mte=True),
]


def test_inject(case: Case, walk: Walk) -> None:
    walk(case)


# --- the ways agree -----------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One call made to fail, or, as the last of its site, none."""

    site: str
    nth: int
    injected: bool
    outcome: str
    leaked: str

    @classmethod
    def of(cls, site: str, nth: int, injected: bool, record: Record) -> "Step":
        return cls(site, nth, injected, record.fields["outcome"], record.fields["leaked"])


def steps(records: Iterator[Record]) -> list[Record]:
    return [r for r in records if r.area == ("inject",) and r.words == ("step",)]


def swept_by_the_kernel(op: str, folder: Path) -> list[Step]:
    log = boot(ROOT / KERNEL, f"lab=inject.sweep op={op}", folder).log
    return [
        Step.of(r.fields["site"], int(r.fields["nth"]), r.fields["injected"] == "yes", r)
        for r in steps(iter(log.records))
    ]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    log = boot(ROOT / KERNEL, "lab=list", tmp_path_factory.mktemp("sites")).log
    return [r.words[1] for r in log.select("list") if r.words[0] == "site"]


def without_idle(found: Iterator[Step]) -> list[Step]:
    """Sites that the operation does not come to are no news: the kernel does not print them."""
    return [step for step in found if step.injected or step.nth > 1]


def swept_through_gdb(session: Session, sites: list[str]) -> Iterator[Step]:
    session.run_to("run_step")
    session.save()
    for site in sites:
        for nth in count(1):
            injected = session.fail(site, nth)
            assert session.outcome() == "ok"
            yield Step.of(site, nth, injected, steps(parse_lines(session.machine.serial))[-1])
            session.restore()
            if not injected:
                break


@pytest.mark.parametrize("op", ["chunk", "pool", "paged", "stack", "thread", "demand", "copy"])
def test_the_sweep_from_gdb_sees_the_same(
    gdb: Open, op: str, sites: list[str], tmp_path: Path
) -> None:
    # QEMU with -icount does not come back from the third stop while interrupts are masked.
    session = gdb(f"inject.once op={op}", icount=None)
    through_gdb = without_idle(swept_through_gdb(session, sites))
    assert through_gdb == swept_by_the_kernel(op, tmp_path)
    assert sum(step.injected for step in through_gdb) > 1


INJECT = "'kernel/report/inject.c'"
SWEPT_MIB = 32  # a quarter of the usual to load
OPERATIONS = "block chunk copy demand guarded page paged pool region run stack thread".split()
ELSEWHERE = {"all", "leaky", "cpu", "tagged"}  # planted; of a machine with two CPUs, or with tags


def swept_from_a_snapshot(session: Session, sites: list[str]) -> Iterator[Step]:
    """The kernel's own rule, armed by the host in a machine that stands before the operation."""
    place, flag = session.number("$pc"), session.number("&((struct inject_site *) 0)->armed")
    armed_site, nth_call = (session.number(f"&{INJECT}::{name}") for name in ("armed", "rule.nth"))
    at = {site: session.number(f"&{site.replace('.', '_')}_site") for site in sites}
    with saved_at(session.spec, place, soon()) as snapshot:
        for site in sites:
            for nth in count(1):
                pokes = {armed_site: word(at[site]), at[site] + flag: b"\1", nth_call: word(nth)}
                records = list(parse_lines(snapshot.again(pokes, soon()).serial))
                injected = armed(records).fields["injected"] == "1"
                yield Step.of(site, nth, injected, steps(iter(records))[0])
                if not injected:
                    break


def word(number: int) -> bytes:
    return number.to_bytes(8, "little")


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_sweep_from_a_snapshot_sees_the_same(
    gdb: Open, op: str, sites: list[str], tmp_path: Path
) -> None:
    session = gdb(f"inject.once op={op}", memory_mib=SWEPT_MIB)
    session.run_to("run_step")
    by_host = without_idle(swept_from_a_snapshot(session, sites))
    assert by_host == swept_by_the_kernel(op, tmp_path)
    assert any(step.injected for step in by_host)


def test_every_operation_is_swept_from_a_snapshot(tmp_path: Path) -> None:
    log = boot(ROOT / KERNEL, "lab=list", tmp_path).log
    (op,) = (r for r in log.select("list") if r.words == ("param", "inject.once", "op"))
    assert set(op.fields["names"].split(",")) == {*OPERATIONS, *ELSEWHERE}


def swept_by_the_boot_line(
    op: str, sites: list[str], folder: Path, warm: WarmPool
) -> Iterator[Step]:
    for site in sites:
        for nth in count(1):
            line = f"lab=inject.once op={op} fault={site},nth={nth},who=lab"
            log = boot(ROOT / KERNEL, line, folder, warm=warm).log
            assert log.verdict == "ok"
            injected = armed(log.records).fields["injected"] == "1"
            yield Step.of(site, nth, injected, steps(iter(log.records))[0])
            if not injected:
                break


def armed(records: Iterable[Record]) -> Record:
    """[inject] site=… calls=… injected=…: the last of them."""
    return [r for r in records if r.area == ("inject",) and not r.words][-1]


def test_the_sweep_by_the_boot_line_sees_the_same(
    tmp_path: Path, sites: list[str], warm: WarmPool
) -> None:
    """Not the early heap: who=lab counts also what the lab makes for itself before."""
    chosen = [site for site in sites if site != "kmem.alloc"]
    by_line = without_idle(swept_by_the_boot_line("thread", chosen, tmp_path, warm))
    assert by_line == swept_by_the_kernel("thread", tmp_path)


def test_a_pool_that_maps_more_gives_it_back(tmp_path: Path) -> None:
    """Without its protection a pool maps also what lies between its blocks: two pages a block."""
    line = "lab=inject.sweep op=paged protect=-object-page"
    log = boot(ROOT / KERNEL, line, tmp_path).log
    assert log.verdict == "ok"
    (swept,) = (r for r in log.select("inject") if r.words == ("swept",))
    plain = swept_by_the_kernel("paged", tmp_path)
    pages = sum(step.injected for step in plain if step.site == "page.alloc")
    # Each of the others is taken, and mapped.
    assert int(swept.fields["refused"]) == sum(step.injected for step in plain) + 2 * pages


def test_every_site_is_made_to_fail(sites: list[str], tmp_path: Path) -> None:
    log = boot(ROOT / KERNEL, "lab=inject.sweep", tmp_path, cpus=2).log
    failed = {r.fields["site"] for r in steps(iter(log.records)) if r.fields["injected"] == "yes"}
    # Those on the way to a process have a sweep of their own.
    spawn = boot(ROOT / KERNEL, "lab=spawn.oom", tmp_path / "spawn").log
    failed |= {r.fields["site"] for r in spawn.select("spawn") if r.words == ("swept",)}
    assert failed == set(sites), "a site that no operation comes to: add an OPERATION()"


def test_a_leak_of_the_kernel_is_a_leak(gdb: Open) -> None:
    """thread_make_from() gives its object back when there is no stack: that call is jumped over."""
    session = gdb("inject.once op=thread")
    session.run_to("run_step")
    assert session.fail("window.alloc")
    session.run_to("*pool_free")
    session.gdb.set_var("$pc", "$x30")
    log = session.finish()
    assert log.verdict == "caught by=leak-check"
    (leak,) = (r for r in log.select("inject") if r.words == ("leak",))
    assert leak.fields["site"] == "pool.alloc"
    assert leak.fields["at"].startswith("thread_make_from+")
    (grew,) = (r for r in log.select("inject") if r.words == ("census",))
    assert grew.fields == {"of": "blocks", "grew": "1"}


# --- the boot itself ---------------------------------------------------------------------------


def swept_boot(sites: list[str], folder: Path, warm: WarmPool) -> Iterator[str]:
    for site in sites:
        for nth in count(1):
            line = f"lab=inject.once op=block fault={site},nth={nth},who=boot"
            log = boot(ROOT / KERNEL, line, folder, warm=warm).log
            end = log.records[-1]
            if armed(log.records).fields["injected"] == "0":
                assert log.verdict == "ok"
                break
            yield f"[inject] boot site={site} nth={nth} why={end.fields['why']}"
            assert log.verdict == "panic"


def test_every_call_of_the_boot_fails(
    sites: list[str], walk: Walk, tmp_path: Path, warm: WarmPool
) -> None:
    """With a reason in words, and never by way of a null pointer."""
    walk.hold(BOOT_SWEEP, "lab=inject.once op=block", list(swept_boot(sites, tmp_path, warm)))


@pytest.mark.parametrize(
    ("lab", "site"),
    [
        ("inject.once", "kmem.alloc"),
        ("mem.traces", "kmem.alloc"),
        ("mem.traces", "page.run"),
        ("pool.constant", "kmem.alloc"),
        ("pool.constant", "page.run"),
        ("pool.exhaust", "thread.create"),
        ("spawn.hog", "kmem.alloc"),
        ("stack.canaries", "thread.create"),
    ],
)
def test_a_lab_that_is_refused_something_says_so(lab: str, site: str, tmp_path: Path) -> None:
    """By name, and goes on by way of no null pointer; or it can do without."""
    verdict = boot(ROOT / KERNEL, f"lab={lab}", tmp_path).log.verdict
    for nth in range(1, 8):
        log = boot(ROOT / KERNEL, f"lab={lab} fault={site},nth={nth},who=lab", tmp_path).log
        assert log.verdict == verdict or log.records[-1].fields["why"].startswith("no-")


def test_the_runs_in_the_document(tmp_path: Path) -> None:
    recorded = golden.load(ROOT / "golden" / "inject" / "leaky.log")
    if recorded is None or recorded.toolchain != tools.toolchain():
        pytest.skip("offsets are another compiler's")
    text = (ROOT / "docs" / "fault-injection.md").read_text("utf-8")
    shown = re.findall(
        r"make run LAB='(.*)'\n```\n[^`]*(?:`[^`\n]+`[^`]*)*```text\n([^`]*)```", text
    )
    shown = [(line, block.splitlines()) for line, block in shown]
    assert [line.partition(" ")[0] for line, _ in shown] == ["inject.once", "inject.sweep"]
    for line, block in shown:
        printed = boot(ROOT / KERNEL, f"lab={line}", tmp_path).serial.decode().splitlines()
        assert [text for text in printed if text in block] == block


def test_the_sweep_takes_no_other_fault(tmp_path: Path) -> None:
    log = boot(ROOT / KERNEL, "lab=inject.sweep fault=page.alloc,nth=99", tmp_path).log
    assert log.records[-1].fields["why"] == "two-faults"


def test_the_banner_is_loud(tmp_path: Path) -> None:
    line = "lab=inject.once op=page fault=page.alloc,prob=5,times=2,space=4K"
    (banner,) = (
        r for r in boot(ROOT / KERNEL, line, tmp_path).log.select("boot") if r.words == ("inject",)
    )
    assert banner.fields == {
        "site": "page.alloc",
        "prob": "5",
        "seed": "0",
        "times": "2",
        "space": "4096",
    }
    assert banner.prose.startswith("FAULTS ARE BEING INJECTED")
