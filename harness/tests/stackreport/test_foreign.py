"""A program that is not this kernel, built with the same two flags."""

import subprocess

import pytest

from harness.stackreport import notes, report
from harness.stackreport.image import Image, load
from harness.tests.stackreport.conftest import bound
from harness.tools import cross_prefix

FOREIGN = """
typedef int (*compare)(const void *, const void *);
static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static int by_depth(const void *a, const void *b) { volatile char c[500]; c[0] = 1; return a < b; }
compare order = by_depth;
__attribute__((noinline)) static void sort(int *v, long n, compare less)
{
	for (long i = 1; i < n; i++)
		for (long k = i; k && less(&v[k], &v[k - 1]) < 0; k--)
			v[k] ^= v[k - 1];
}
__attribute__((noinline)) static int sum(const int *v, int n)
{
	volatile int copy[64]; int s = 0;
	if (n < 0) __builtin_trap();
	for (int i = 0; i < n && i < 64; i++) { copy[i] = v[i]; s += copy[i]; }
	return s;
}
__attribute__((noinline)) static int down(int n)
{
	volatile int here = n;
	return n ? down(n - 1) + here : 0;
}
void _start(void)
{
	int v[4] = { 3, 1, 2, 0 };
	sort(v, 4, order); sort(v, 4, by_value);
	v[0] = sum(v, 4) + down(v[1]);
	for (;;) ;
}
"""


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "main.c").write_text(FOREIGN)
    prefix = cross_prefix()
    flags = ("-O1", "-g", "-ffreestanding", "-fno-pie", "-fstack-usage", "-fcallgraph-info=su")
    link = ("-nostdlib", "-static", "-no-pie", "-Wl,--emit-relocs")
    for command in (
        (f"{prefix}gcc", *flags, "-c", "main.c"),
        (f"{prefix}objcopy", "--add-section", ".GNU.callgraph=main.ci", "main.o"),
        (f"{prefix}gcc", *link, "main.o", "-o", "main"),
    ):
        subprocess.run(command, cwd=folder, check=True)
    return load(folder / "main")


def test_a_foreign_program_is_read_as_well(foreign: Image) -> None:
    assert sorted(foreign.taken or ()) == ["by_depth", "by_value"]
    assert sorted(foreign.compiler) == ["_start", "by_depth", "by_value", "down", "sort", "sum"]
    assert not report.make(foreign, notes.parse("")).problems, "compiler and machine code agree"


def test_a_foreign_program_has_statuses_too(foreign: Image) -> None:
    frames = {name: view.bytes for name, view in foreign.compiler.items()}
    assert str(bound(foreign, "sum")) == f"≤ {frames['sum']}"
    assert str(bound(foreign, "sort")) == f"≤ {frames['sort'] + frames['by_depth']}"
    assert str(bound(foreign, "_start")) == "unbounded (recursion in down)"
    noted = '[[recursion]]\nfunction = "down"\ndepth = 5\nwhy = "test"'
    deepest = max(frames["sort"] + frames["by_depth"], 5 * frames["down"], frames["sum"])
    assert str(bound(foreign, "_start", noted)) == f"≤ {frames['_start'] + deepest}"
