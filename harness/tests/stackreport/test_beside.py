"""Notes beside the code, as kernel/base/stack_note.h writes them: compiled here by the same
compiler with the same header, two files with functions of one name.
"""

import subprocess
from pathlib import Path

import pytest

from harness.paths import ROOT
from harness.stackreport import beside, notes, report
from harness.stackreport.image import Image, load
from harness.stackreport.notes import Note, NotesError
from harness.tools import cross_prefix

FLAGS = (
    *("-O2", "-g", "-ffreestanding", "-fno-pie", "-fno-omit-frame-pointer", "-nostdlib", "-static"),
    *("-Wl,--emit-relocs", "-Wl,--build-id=none", "-Wl,-T,rows.ld", "-I", str(ROOT / "kernel")),
)
LINK = """
SECTIONS
{
	.text 0x40000000 : { *(.text .text.*) }
	.data : { *(.rodata .rodata.* .data .data.*) }
	.stack_notes 0 (INFO) : { KEEP(*(.stack_notes)) }
}
"""
START = """
#include "base/stack_note.h"
typedef void (*run)(void *);
extern run volatile where;
void *thread_create(const char *name, run function, void *argument, unsigned long stack);

#define thread_create(name, function, argument, stack) \\
	({ \\
		STACK_START(name, function, stack) \\
		(thread_create)(name, function, argument, stack); \\
	})
"""
ONE = (
    START
    + """
run volatile where;
void *(thread_create)(const char *name, run function, void *argument, unsigned long stack)
{
	where = function;
	return argument;
}
void thread_start(void) { where(0); __asm__ volatile(""); }
static void work(void *p) { __asm__ volatile("" ::: "memory"); }
void _start(void) { thread_create("one", work, 0, 4096); }
"""
)
TWO = (
    START
    + """
STACK_RECURSION("down", 2 + 3, "five at most")
__attribute__((noinline, noclone)) static int down(int n)
{
	volatile int kept = n;
	return n > 0 ? down(n - 1) ^ kept : 0;
}
static void work(void *p) { down(1); __asm__ volatile("" ::: "memory"); }
static void other(void *p) { __asm__ volatile("" ::: "memory"); }
void two(int n, run any, unsigned long size)
{
	thread_create("two", n ? work : other, 0, 8192);
	thread_create(n ? "here" : "there", other, 0, size);
	thread_create("three", any, 0, 4096);
}
"""
)


def build(folder: Path, **sources: str) -> Image:
    (folder / "rows.ld").write_text(LINK)
    for name, text in sources.items():
        (folder / f"{name}.c").write_text(text)
    files = [f"{name}.c" for name in sources]
    command = [f"{cross_prefix()}gcc", *FLAGS, *files, "-o", "image.elf"]
    subprocess.run(command, cwd=folder, check=True)
    return load(folder / "image.elf")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return build(tmp_path_factory.mktemp("beside"), one=ONE, two=TWO)


def of(image: Image, text: str = "") -> dict[str, Note]:
    return {note.label.split()[1]: note for note in beside.read(image, notes.parse(text))}


def test_a_call_says_where_a_thread_begins_and_on_how_much(image: Image) -> None:
    found = of(image)
    assert found["name=thread:one"]["starts"] == ["one.c:work"]
    assert found["name=thread:one"]["size"] == 4096
    assert found["name=thread:one"]["entry"] == "thread_start"


def test_of_a_choice_both_begin_there(image: Image) -> None:
    found = of(image)
    assert sorted(found["name=thread:two"]["starts"]) == ["two.c:other", "two.c:work"]
    assert found["name=thread:here"]["starts"] == found["name=thread:there"]["starts"]
    assert found["name=thread:here"]["size"] == 0, "which only the running program knows"


def test_what_only_a_variable_knows_says_nothing(image: Image) -> None:
    assert "name=thread:three" not in of(image)


def test_a_note_means_its_own_files_function_and_has_the_compilers_number(image: Image) -> None:
    (note,) = (n for n in of(image).values() if n.kind == "recursion")
    assert (note["function"], note["depth"]) == ("two.c:down", 5)


def test_two_functions_of_one_name_are_two_starts(image: Image) -> None:
    """The one recurses, and its note is for it alone."""
    made = report.make(image, beside.read(image, notes.parse("")))
    entries = {(s.name, e.name): e.bound for s in made.stacks for e in s.entries}
    assert entries["thread:one", "work@one.c"].proven
    two = entries["thread:two", "work@two.c"]
    assert two.proven
    assert two.bytes > entries["thread:one", "work@one.c"].bytes
    assert not made.problems, made.problems


def test_what_a_file_and_the_code_say_of_one_stack_adds_up(image: Image) -> None:
    written = "[[stack]]\nname = 'thread:one'\nsize = 512\nunbounded = 'so'\nwhy = 'test'"
    note = of(image, written)["name=thread:one"]
    assert (note["size"], note["unbounded"], note["starts"]) == (512, "so", ["one.c:work"])


CHOSEN = 'run chosen = n ? work : other;\n\tthread_create("two", chosen'


@pytest.mark.parametrize(
    ("noted", "missing", "says"),
    [
        (
            'STACK_RECURSION("down", 2 + 3, "five at most")',
            "",
            'write STACK_RECURSION("down", TIMES, "why") in two.c',
        ),
        (
            'thread_create("two", n ? work : other',
            CHOSEN,
            'write in two.c: STACK_CALLS("CALLER", "work", "why"), or STACK_STARTS("thread:NAME"',
        ),
    ],
)
def test_a_missing_note_is_named_with_the_line_to_write(
    noted: str, missing: str, says: str, tmp_path: Path
) -> None:
    assert noted in TWO
    image = build(tmp_path, one=ONE, two=TWO.replace(noted, missing))
    made = report.make(image, beside.read(image, notes.parse("")))
    assert any(says in problem for problem in made.problems), made.problems


def test_a_note_that_is_none_names_its_file(tmp_path: Path) -> None:
    image = build(tmp_path, one=ONE, two=TWO + 'STACK_NOTE("recursion", 3, "function = \'x\'\\n")')
    with pytest.raises(NotesError, match=r"recursion.* in two\.c: it has no why"):
        beside.read(image, notes.parse(""))


def test_an_image_without_the_section_has_only_the_files_notes(small: Path) -> None:
    written = "[[recursion]]\nfunction = 'again'\ndepth = 3\nwhy = 'test'"
    assert [n.kind for n in beside.read(load(small), notes.parse(written))] == ["recursion"]
