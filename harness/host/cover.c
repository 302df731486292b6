/*
 * Which instructions of an image a test has reached: a QEMU plugin
 *
 *     -plugin build/cover.so,to=FOLDER,range=0xBASE+0xSIZE,range=…
 *
 * that sets a bit for every word of the ranges which QEMU translates, and QEMU translates a block when
 * the guest comes to it. The end of a block that an exception leaves half-way counts as reached: that
 * is too much, never too little, so whoever selects tests by it leaves out none.
 *
 * One file a test: FOLDER/<FNV-1a of PYTEST_CURRENT_TEST without its phase>, mapped and shared, so that
 * all machines of one test fill the same one, and a QEMU that is killed has lost nothing.
 * harness/dev/mutants/reach.py reads them. A machine that no test has started is left alone.
 */
#include "plugin.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_RANGES 16
#define WORD 4 /* bytes of an instruction */
#define NO_BIT UINT64_MAX

struct range {
	uint64_t base;
	uint64_t size;
};

static struct range ranges[MOST_RANGES];
static size_t range_count;
static _Atomic uint8_t *reached;

static uint64_t words(const struct range *range)
{
	return range->size / WORD;
}

static uint64_t bit_of(uint64_t address)
{
	uint64_t before = 0;

	for (size_t i = 0; i < range_count; i++) {
		if (address - ranges[i].base < ranges[i].size)
			return before + (address - ranges[i].base) / WORD;
		before += words(&ranges[i]);
	}
	return NO_BIT;
}

ON_TRANSLATION(note, tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		uint64_t bit = bit_of(qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i)));

		if (bit != NO_BIT)
			atomic_fetch_or_explicit(&reached[bit / 8], (uint8_t)(1u << bit % 8),
						 memory_order_relaxed);
	}
}

static int add_range(const char *text)
{
	char *plus, *end;

	if (range_count == MOST_RANGES)
		return -1;
	ranges[range_count].base = strtoull(text, &plus, 16);
	if (*plus != '+')
		return -1;
	ranges[range_count].size = strtoull(plus + 1, &end, 16);
	if (*end || end == plus + 1)
		return -1;
	range_count++;
	return 0;
}

/* "scenarios/test_heap.py::test_heap[frag] (call)": the phase is the last word. */
static uint64_t hash_of(const char *test)
{
	const char *end = strrchr(test, ' ');
	uint64_t hash = 0xcbf29ce484222325;

	for (; *test && test != end; test++)
		hash = (hash ^ (uint8_t)*test) * 0x100000001b3;
	return hash;
}

static int open_file(const char *folder, const char *test)
{
	char path[4096];
	uint64_t bytes = 0;
	int file;

	for (size_t i = 0; i < range_count; i++)
		bytes += words(&ranges[i]);
	bytes = (bytes + 7) / 8;
	snprintf(path, sizeof(path), "%s/%016" PRIx64, folder, hash_of(test));
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (file < 0 || ftruncate(file, (off_t)bytes))
		return -1;
	reached = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	return reached == MAP_FAILED ? -1 : 0;
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int given, char **options)
{
	const char *test = getenv("PYTEST_CURRENT_TEST");
	const char *folder = NULL;

	(void)info;
	for (int i = 0; i < given; i++) {
		if (strncmp(options[i], "to=", 3) == 0)
			folder = options[i] + 3;
		else if (strncmp(options[i], "range=", 6) != 0 || add_range(options[i] + 6) != 0)
			return -1;
	}
	if (!test)
		return 0;
	if (!folder || open_file(folder, test))
		return -1;
	REGISTER_TRANSLATED(id, note);
	return 0;
}
