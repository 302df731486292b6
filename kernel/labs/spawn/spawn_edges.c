/*
 * Spawn labs: programs at the bounds of what the loader takes. Each is the real hello with one segment moved or
 * sized, as far as may be or one byte further. What is loaded is then held against the file, byte by byte.
 */
#include "base/stack_note.h"
#include "base/string.h"
#include "lab/lab.h"
#include "labs/lib/system.h"
#include "mem/bump.h"
#include "proc/elf.h"
#include "proc/initrd.h"
#include "proc/spawn.h"
#include "report/report.h"

STACK_CALLS(
	"lab_spawn_edges",
	"end_at_*_end begin_lowest fill_memory follow_text size_as_file load_one_byte move_headers",
	"struct edge")

#define HELLO_WAITS 0x100 /* user/hello.c: it touches nothing but text and data before the gate */

/* Offsets in an ELF64 file, and in its second program header: read-only data. */
enum {
	E_PHOFF = 32,
	E_PHNUM = 56,
	PROGRAM_HEADERS = 64,
	HEADER_BYTES = 56,
	RODATA = PROGRAM_HEADERS + HEADER_BYTES,
	P_OFFSET = RODATA + 8,
	P_VADDR = RODATA + 16,
	P_FILESZ = RODATA + 32,
	P_MEMSZ = RODATA + 40,
};

static char *copy;
static size_t size;

static uint64_t field(size_t at)
{
	uint64_t value;

	memcpy(&value, copy + at, sizeof(value));
	return value;
}

static void set_field(size_t at, uint64_t value)
{
	memcpy(copy + at, &value, sizeof(value));
}

static size_t headers_bytes(void)
{
	uint16_t count;

	memcpy(&count, copy + E_PHNUM, sizeof(count));
	return (size_t)count * HEADER_BYTES;
}

/* `by`: 0, what may just be; 1, one byte, page or header further. */
static void end_at_file_end(size_t by)
{
	set_field(P_OFFSET, size - field(P_FILESZ) + by);
}

static void begin_lowest(size_t by)
{
	set_field(P_VADDR, ELF_LOWEST - by * PAGE_SIZE);
}

static void end_at_user_end(size_t by)
{
	set_field(P_VADDR, ELF_END - PAGE_SIZE);
	set_field(P_MEMSZ, PAGE_SIZE + by);
}

static void fill_memory(size_t by)
{
	size_t others = 0;

	for (size_t at = PROGRAM_HEADERS; at < PROGRAM_HEADERS + headers_bytes();
	     at += HEADER_BYTES)
		if (at != RODATA)
			others += ALIGN_UP(field(at + 40), PAGE_SIZE);
	set_field(P_VADDR, ELF_LOWEST);
	set_field(P_MEMSZ, ELF_MAX_MEMORY - others + by);
}

/* Right behind the text, or with its first page where the text has its last. */
static void follow_text(size_t by)
{
	uint64_t text_end =
		field(PROGRAM_HEADERS + 16) + ALIGN_UP(field(PROGRAM_HEADERS + 40), PAGE_SIZE);

	set_field(P_VADDR, text_end - by * PAGE_SIZE);
}

static void size_as_file(size_t by)
{
	set_field(P_MEMSZ, field(P_FILESZ) - by);
}

/* A piece of one byte, and it is none that memory begins with. */
static void load_one_byte(size_t by)
{
	set_field(P_OFFSET, 1);
	set_field(P_FILESZ, 1 + by);
	set_field(P_MEMSZ, 1);
}

/* The whole table in what is read of the file first. */
static void move_headers(size_t by)
{
	size_t to = ELF_HEAD_BYTES - headers_bytes() + by;

	memmove(copy + to, copy + PROGRAM_HEADERS, headers_bytes());
	set_field(E_PHOFF, to);
}

static const struct edge {
	const char *name;
	void (*make)(size_t by);
} edges[] = {
	{ "file-end", end_at_file_end }, { "lowest-page", begin_lowest },
	{ "user-end", end_at_user_end }, { "memory", fill_memory },
	{ "text-end", follow_text },	 { "file-size", size_as_file },
	{ "one-byte", load_one_byte },	 { "headers-end", move_headers },
};

/* The file's bytes, then nothing but zeros to the end of the last page; hello has written to its own data. */
static bool is_loaded(const struct process *p, const struct elf_segment *s)
{
	size_t end = s->flags & ELF_WRITE ? s->file : ALIGN_UP(s->memory, PAGE_SIZE);

	for (size_t n = 0; n < end; n++) {
		const char *byte = space_page(&p->space, s->address + n, false);

		if (!byte || *byte != (n < s->file ? copy[s->offset + n] : 0))
			return false;
	}
	return true;
}

static bool all_is_loaded(uint32_t pid)
{
	struct elf_plan plan;
	bool all = !elf_examine(&plan, copy, size < ELF_HEAD_BYTES ? size : ELF_HEAD_BYTES, size,
				true);

	for (unsigned int i = 0; i < plan.count; i++)
		all &= is_loaded(process_find(pid), &plan.segments[i]);
	return all;
}

/* hello's argument is what it exits with. */
static void let_go(uint32_t pid)
{
	static struct message m;

	ipc_receive(&gate_endpoint, &m);
	m.status = 0;
	ipc_answer(&m);
	if (process_wait(pid, NULL))
		panic("wrong-exit-code");
}

static void try_edge(const struct edge *e, size_t by, const struct cpio_file *hello)
{
	int64_t pid;

	memcpy(copy, hello->data, size);
	e->make(by);
	pid = system_launch("hello", HELLO_WAITS);
	report("[spawn] edge at=%s further=%lu loaded=%s", e->name, by,
	       pid < 0			      ? "no"
	       : all_is_loaded((uint32_t)pid) ? "whole"
					      : "wrong");
	if (by ? pid >= 0 : pid < 0 || !all_is_loaded((uint32_t)pid))
		end("survived");
	if (pid > 0)
		let_go((uint32_t)pid);
}

LAB(spawn, edges, "programs at the bounds of what the loader takes, and one step beyond", NO_PARAMS)
{
	struct system_count before;
	struct cpio_file hello;

	system_start(KERNEL_STACK_DEFAULT);
	before = system_counts();
	copy = initrd_find(&hello, "hello") < 0 ? NULL : kmem_alloc_aligned(hello.size, 16);
	if (!copy)
		panic("no-hello");
	size = hello.size;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(edges); i++) {
		initrd_replace("hello", copy, size);
		try_edge(&edges[i / 2], i % 2, &hello);
		initrd_replace(NULL, NULL, 0);
		system_expect_census(&before);
	}
	end("caught by=elf-check");
}
