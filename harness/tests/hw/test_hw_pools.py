"""hw pools, hw pages: the kernel's counts, and free lists that are broken."""

import re

import pytest

from harness.serial.symbols import FAULT_HOOK
from harness.tests.hw.conftest import Boot, Rows, Stopped, only, poked, refusal

COUNTS = ("block", "capacity", "in_use", "high_water", "allocs", "frees", "failures")


PARTS = "'kernel/labs/pool/pool_overflow.c'::parts"


@pytest.fixture(scope="module")
def paged(boot: Boot) -> Stopped:
    return boot("lab=pool.overflow kind=1", FAULT_HOOK)


@pytest.fixture(scope="module")
def overflown(boot: Boot) -> Stopped:
    return boot("lab=pool.overflow", "end")


def counts(found: Rows, name: str) -> dict[str, str]:
    row = only(found, POOL=name)
    return {key: row[key.upper()] for key in COUNTS} | {"refused": row["REFUSED"]}


def test_pools_count_as_the_kernel_reports(pool: Stopped) -> None:
    """The record comes after the stop, so it is there at the next; then the threads' pool."""
    plain, blocks = counts(pool.rows("pools"), "plain"), pool.rows("pools plain")[1:]
    pool.run_to("pool_report")
    pool.run_to("pool_report")
    threads, owners = counts(pool.rows("pools"), "threads"), pool.hw("pools threads")
    page_count = pool.gdb.evaluate("page_count()")
    pages = only(pool.rows("pages"), MEMORY="pages")
    pool.run_to("pool_report")
    printed = {r.words[0]: dict(r.fields) for r in pool.records("pool")[::2]}
    assert plain == printed["plain"]
    assert threads == printed["threads"]
    assert plain["failures"] == threads["failures"] == "1"
    assert len(blocks) == 1 + 4  # "plain: 5 of 5 blocks used" was taken for the head
    assert len(re.findall(r"  used +parked ", owners, re.MULTILINE)) == int(threads["in_use"]) - 2
    assert re.search(r"^ +0 +0x\w+ +used +idle ", owners, re.MULTILINE)
    assert int(pages["FREE"]) == int(pages["TOTAL"]) - int(pages["IN_USE"])
    assert page_count == f"{{total = {pages['TOTAL']}, in_use = {pages['IN_USE']}}}"


def test_the_blocks_of_a_pool_and_a_broken_free_list(recurse: Stopped) -> None:
    by_name, by_variable = recurse.hw("pools threads"), recurse.hw("pools thread_pool")
    assert by_name == by_variable
    lines = by_name.splitlines()
    assert lines[0] == "threads: 3 of 64 blocks used"
    assert [line.split()[2:4] for line in lines[2:5]] == [
        ["used", "idle"],
        ["used", "lab"],
        ["used", "victim"],
    ]
    assert {line.split()[2] for line in lines[5:]} == {"free"}
    fourth = "((struct pool_link *) (thread_pool.base + 3 * thread_pool.stride))"
    with poked(recurse, f"{fourth}->sealed", 0xDEAD):
        broken = recurse.hw("pools threads")
    assert "the link in block 3 was written into" in broken
    assert broken.count("free, but not on the free list") == 60
    with poked(recurse, "thread_pool.free_list.copy", 0):
        assert "the free list's head was written into" in recurse.hw("pools threads")


def test_a_free_list_whose_links_are_not_sealed(recurse: Stopped) -> None:
    """protect=-pool-link, as far as GDB can tell; the links of this boot then lead nowhere."""
    with poked(recurse, "protect_off[PROTECT_POOL_LINK]", 1):
        with poked(recurse, "thread_pool.free_list.sealed", 0xDEAD):
            broken = recurse.hw("pools threads")
        assert "the free list leads to 0xdead, which is no block of this pool" in broken
        with poked(recurse, "thread_pool.free_list.sealed", recurse.number("all_threads")):
            assert "used, but on the free list" in recurse.hw("pools threads")


def test_the_call_sites_of_a_block_are_named(pool: Stopped) -> None:
    """Whatever run_to() has come to by now: every used block says who took it."""
    used = [line for line in pool.hw("pools threads").splitlines() if "  used  " in line]
    assert used
    assert all(re.search(r"  thread_make_from\+0x\w+", line) for line in used)


def test_who_was_refused_is_named_by_a_return_address(recurse: Stopped) -> None:
    """thread_start's last instruction is a call: its return address is already behind it."""
    after = recurse.number("(char *)&thread_start + 12")
    with poked(recurse, "thread_pool.last_failing_caller", after):
        assert only(recurse.rows("pools"), POOL="threads")["REFUSED"] == "thread_start+0xc"


def test_a_pool_that_was_never_made(recurse: Stopped) -> None:
    """Each of the labs has its own, and all but one have not run."""
    assert {row["POOL"] for row in recurse.rows("pools")} == {"threads"}
    assert recurse.hw("pools pool").startswith("this pool is not made yet\n")
    with poked(recurse, "thread_pool.blocks", 0):
        assert recurse.hw("pools") == "no pool is made yet\n"
    assert refusal(recurse.gdb, "hw pools nosuch") == ('no pool is called "nosuch". Type: hw pools')


def test_the_early_heap(recurse: Stopped) -> None:
    heap = only(recurse.rows("pages"), MEMORY="early-heap")
    used = recurse.number("'mem/bump.c'::early.at") - recurse.number("&__early_heap_start")
    total = recurse.number("(char *)&__early_heap_end - (char *)&__early_heap_start")
    assert [int(heap[key]) for key in ("TOTAL", "IN_USE", "FREE")] == [total, used, total - used]


def test_blocks_on_pages_of_their_own(paged: Stopped) -> None:
    """Free ones are not mapped: GDB reads their links where the pool does."""
    lines = paged.hw("pools parts").splitlines()
    assert lines[0] == "parts: 3 of 8 blocks used"
    assert [line.split()[2] for line in lines[2:]] == ["used"] * 3 + ["free"] * 5
    assert all("lab_pool_overflow+0x" in line for line in lines[2:5])
    base, stride = (paged.number(f"{PARTS}.{key}") for key in ("base", "stride"))
    for address, name in (
        (base + stride, "pool:parts[1]+0x0"),
        (base + stride + 64, "pool:parts[1]+0x40"),
        (base + stride - 1, "pool:parts[1]-0x1"),
        (0x6B6B6B6B6B6B6B83, "poison+0x18"),
    ):
        assert paged.hw(f"where {address:#x}").split()[0] == name


def test_a_block_that_was_written_past(overflown: Stopped) -> None:
    lines = overflown.hw("pools parts").splitlines()
    assert [line.split()[2] for line in lines[2:5]] == ["used", "bad", "used"]
    site = r"lab_pool_overflow\+0x\w+"
    assert re.search(rf"  {site}  {site}$", lines[3]), "who took it, and who freed it"
    assert re.fullmatch(rf"found last: overflow in block 1, offset 64, by {site}", lines[-1])
