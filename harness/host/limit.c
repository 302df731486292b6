/*
 * A bound for machines that are not to end: a QEMU plugin (-plugin build/limit.so,instructions=N) that
 * ends QEMU when the guest has executed N instructions. Under icount that is a moment of the guest's
 * own, the same on every host; CPU time and the clock are not.
 *
 * Counted are blocks of translated code as they begin, so one that an exception leaves, or that QEMU
 * starts again for an access to a device, counts whole each time: a few more than were executed.
 */
#include "plugin.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENDED 124 /* machine.py knows it; what timeout(1) answers */

struct block {
	uint64_t start; /* guest virtual address */
	int64_t instructions;
};

static int64_t most;
static _Atomic int64_t left;

static void count(unsigned int cpu, void *data)
{
	const struct block *block = data;

	(void)cpu;
	if (atomic_fetch_sub_explicit(&left, block->instructions, memory_order_relaxed) > 0)
		return;
	dprintf(STDERR_FILENO, "limit: %" PRId64 " instructions, at 0x%" PRIx64 "\n", most,
		block->start);
	_exit(ENDED);
}

ON_TRANSLATION(watch, tb)
{
	struct block *block = malloc(sizeof(*block));

	if (!block)
		abort();
	block->start = qemu_plugin_tb_vaddr(tb);
	block->instructions = (int64_t)qemu_plugin_tb_n_insns(tb);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, count, 0, block);
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int given, char **options)
{
	const char *wanted = "instructions=";

	(void)info;
	if (given != 1 || strncmp(options[0], wanted, strlen(wanted)) != 0)
		return -1;
	most = strtoll(options[0] + strlen(wanted), NULL, 10);
	atomic_store(&left, most);
	REGISTER_TRANSLATED(id, watch);
	return 0;
}
