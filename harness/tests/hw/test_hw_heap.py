"""hw heap: the kernel's own census, block by block, and headers that somebody has written over."""

import pytest

from harness.tests.hw.conftest import Rows, Stopped, only, poked, refusal, rows

HEADER = 16
CHUNK = 1024
NAME = "heap_labs.c:heap"
BASE = "'labs/heap/heap_labs.c'::heap.base"


def header(heap: Stopped, block: int) -> str:
    """The address of a block's header: all blocks before it are chunks."""
    base = heap.number(BASE)
    return f"({base:#x} + {block * (HEADER + CHUNK)})"


def the_heap(heap: Stopped) -> tuple[dict[str, str], Rows]:
    """Its row among all heaps, and its blocks."""
    listing = heap.hw(f"heap {NAME}").partition("\n")[2]
    return only(heap.rows("heap"), HEAP=NAME), rows(listing)


def test_it_counts_what_the_kernel_counts(heap: Stopped) -> None:
    (frag,) = (r for r in heap.records("mem-lab", "malloc") if "total_free" in r.fields)
    row, listed = the_heap(heap)
    assert {key: row[key.upper()] for key in ("total_free", "largest_free")} == {
        key: frag.fields[key] for key in ("total_free", "largest_free")
    }
    assert (row["SIZE"], row["STATUS"]) == ("65536", "ok")
    assert row["FREE"] == frag.fields["free_blocks"]
    assert [row[key] for key in ("ALLOCS", "FREES", "FAILURES")] == ["63", "32", "2"]
    assert len(listed) == int(row["BLOCKS"]) == 63
    assert [block["STATE"] for block in listed] == ["free", "used"] * 31 + ["free"]
    assert {block["HEADER"] for block in listed} == {"ok"}
    assert {block["OWNER"].partition("+")[0] for block in listed} == {"fill"}
    assert sum(int(block["SIZE"]) + HEADER for block in listed) == 65536
    first = heap.number(BASE) + HEADER
    assert int(listed[0]["ADDRESS"], 0) == first


@pytest.mark.parametrize("says", [0x4141414141414141, CHUNK + 2, 65536, CHUNK, 0])
def test_a_header_that_was_written_over(heap: Stopped, says: int) -> None:
    """The walk goes on: it is the record that says how large the block is."""
    with poked(heap, f"((struct header *){header(heap, 5)})->size_and_used", says):
        row, listed = the_heap(heap)
    wrong = {block["BLOCK"]: block["HEADER"] for block in listed if block["HEADER"] != "ok"}
    assert wrong == {"5": f"overwritten: says {says:#x}, not {CHUNK + 1:#x}"}
    assert (row["BLOCKS"], row["STATUS"]) == ("63", f"block 5: {wrong['5']}")


def test_records_that_are_none_end_the_walk(heap: Stopped) -> None:
    at = header(heap, 5)
    place = f"({at} - {BASE}) / {HEADER}"
    with poked(heap, f"'labs/heap/heap_labs.c'::heap.records[{place}].size_and_used", 65536):
        said, (row, _) = heap.hw(f"heap {NAME}"), the_heap(heap)
    assert said.splitlines()[-1] == "the records are overwritten: 0x10000 is no size here"
    assert (row["BLOCKS"], row["STATUS"]) == ("5", said.splitlines()[-1])


def test_a_header_that_does_not_know_the_block_before_it(heap: Stopped) -> None:
    with poked(heap, f"((struct header *){header(heap, 7)})->previous", 0x30):
        row, listed = the_heap(heap)
    wrong = {block["BLOCK"]: block["HEADER"] for block in listed if block["HEADER"] != "ok"}
    assert wrong == {"7": "overwritten: says 0x30 before it, not 0x400"}
    assert row["STATUS"] == f"block 7: {wrong['7']}"
    with poked(heap, f"((struct header *){header(heap, 0)})->previous", 0x20):
        assert the_heap(heap)[1][0]["HEADER"] == "overwritten: says 0x20 before it, not 0x1"


def test_a_heap_that_is_not_there(heap: Stopped, recurse: Stopped) -> None:
    assert refusal(heap.gdb, "hw heap nosuch") == 'no heap is called "nosuch". Type: hw heap'
    assert recurse.hw("heap") == "no heap is made yet\n"
    assert recurse.hw(f"heap {NAME}") == f"{NAME}:\nthis heap is not made yet\n"


def test_heaps_of_one_name_are_told_apart(recurse: Stopped, heap: Stopped) -> None:
    """Where none is made, each is named; else those that are."""
    titles = [line for line in recurse.hw("heap heap").splitlines() if line.endswith(":")]
    assert f"{NAME}:" in titles
    assert len(set(titles)) == len(titles) > 1
    assert heap.hw("heap heap").splitlines()[0] == f"{NAME}:"
    assert [row["HEAP"] for row in heap.rows("heap")] == [NAME]
