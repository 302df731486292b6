/*
 * Spawn labs: programs that the loader must refuse. Each is the real hello with one thing wrong in its
 * headers, shown by the fs server under hello's name.
 */
#include "base/stack_note.h"
#include "base/string.h"
#include "lab/lab.h"
#include "labs/lib/system.h"
#include "mem/bump.h"
#include "proc/initrd.h"
#include "report/report.h"

LAB_NAMES(damage_name)

/* Offsets in an ELF64 file (System V ABI, chapters 4 and 5). */
enum {
	E_CLASS = 4,
	E_DATA = 5,
	E_TYPE = 16,
	E_MACHINE = 18,
	E_ENTRY = 24,
	E_PHOFF = 32,
	E_PHNUM = 56,
	PROGRAM_HEADERS = 64,
	PROGRAM_HEADER_BYTES = 56,
	P_FLAGS = 4,
	P_OFFSET = 8,
	P_VADDR = 16,
	P_MEMSZ = 40,
	FLAGS_RWX = 7,
	MACHINE_X86_64 = 62,
	TYPE_DYNAMIC = 3,
};

#define TEXT(field) (PROGRAM_HEADERS + (field))
#define RODATA(field) (PROGRAM_HEADERS + PROGRAM_HEADER_BYTES + (field))
#define KERNEL_HALF 0xffffff8040000000
#define HELLO_TEXT 0 /* replaced by where hello's text really is */

/* One number in the file, and what it is instead. size 0: the file is as long as `value`. */
static const struct damage {
	size_t at, size; /* bytes */
	uint64_t value;
} damages[] = {
	{ 0, 0, 40 },
	{ 0, 1, 'E' },
	{ E_CLASS, 1, 1 },
	{ E_DATA, 1, 2 },
	{ E_TYPE, 2, TYPE_DYNAMIC },
	{ E_MACHINE, 2, MACHINE_X86_64 },
	{ E_PHNUM, 2, 0 },
	{ E_PHOFF, 8, 1 << 20 },
	{ TEXT(P_OFFSET), 8, 1UL << 40 },
	{ TEXT(P_MEMSZ), 8, 1UL << 40 },
	{ TEXT(P_MEMSZ), 8, 1 },
	{ TEXT(P_VADDR), 8, KERNEL_HALF },
	{ TEXT(P_VADDR), 8, 0x10008 },
	{ RODATA(P_VADDR), 8, HELLO_TEXT },
	{ TEXT(P_FLAGS), 4, FLAGS_RWX },
	{ E_ENTRY, 8, 0x7000 },
};

static const char *const damage_names[] = {
	"truncated",	"magic",       "class",		"byte-order",
	"type",		"machine",     "no-segments",	"headers-outside",
	"file-outside", "memory-huge", "memory-short",	"kernel-half",
	"misaligned",	"overlap",     "write-execute", "entry-outside",
};

static const char *damage_name(uint64_t value)
{
	return value < ARRAY_SIZE(damage_names) ? damage_names[value] : NULL;
}

/* A copy of hello, broken; its size in bytes. */
static size_t break_hello(char *copy, const struct cpio_file *hello, const struct damage *d)
{
	uint64_t value = d->value;

	if (d->size > sizeof(value))
		panic("damage-too-wide");
	memcpy(copy, hello->data, hello->size);
	if (!d->size)
		return value;
	if (d->at == RODATA(P_VADDR))
		memcpy(&value, copy + TEXT(P_VADDR), sizeof(value));
	memcpy(copy + d->at, &value, d->size);
	return hello->size;
}

#define BAD_ELF_PARAMS(P) P(how, 0, 0, 15, "what is wrong with the program", .name = damage_name)

LAB(spawn, bad_elf, "a program that the loader must refuse", BAD_ELF_PARAMS)
{
	struct cpio_file hello;
	struct system_count before;
	int64_t status;
	char *copy;

	system_start(KERNEL_STACK_DEFAULT);
	before = system_counts();
	copy = initrd_find(&hello, "hello") < 0 ? NULL : kmem_alloc_aligned(hello.size, 16);
	if (!copy)
		panic("no-hello");
	initrd_replace("hello", copy, break_hello(copy, &hello, &damages[a->how]));
	status = system_launch("hello", 0);
	initrd_replace(NULL, NULL, 0);
	report("[spawn] launch program=hello status=%ld", status);
	if (status != ERROR_PROGRAM)
		end("survived");
	system_expect_census(&before);
	if (system_run("hello", 0, NULL))
		panic("hello-broken");
	system_report_stacks();
	end("caught by=elf-check");
}
