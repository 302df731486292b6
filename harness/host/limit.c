/*
 * A bound for machines that are not to end: a QEMU plugin (-plugin build/limit.so,instructions=N) that
 * ends QEMU when the guest has executed N instructions. Under icount that is a moment of the guest's
 * own, the same on every host; CPU time and the clock are not.
 *
 * Counted are blocks of translated code as they begin, so one that an exception leaves, or that QEMU
 * starts again for an access to a device, counts whole each time: a few more than were executed.
 *
 * Debian has no qemu-plugin.h; what is declared here is the part of it that is used (QEMU's
 * docs/devel/tcg-plugins, API version 1; the same functions are in version 2).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define ENDED 124 /* machine.py knows it; what timeout(1) answers */

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
typedef void translated(plugin_id, struct qemu_plugin_tb *);
typedef void executed(unsigned int cpu, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed *, int flags, void *);
int qemu_plugin_install(plugin_id, const void *info, int given, char **options);

EXPORTED int qemu_plugin_version = 1; /* QEMU looks before it calls anything */

struct block {
	uint64_t start; /* guest virtual address */
	int64_t instructions;
};

static int64_t most;
static _Atomic int64_t left;

/* QEMU from 9.0 on wants version 2, which has 64-bit counters; older ones want 1. */
__attribute__((constructor)) static void choose_version(void)
{
	if (dlsym(RTLD_DEFAULT, "qemu_plugin_u64_add"))
		qemu_plugin_version = 2;
}

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

static void watch(plugin_id id, struct qemu_plugin_tb *tb)
{
	struct block *block = malloc(sizeof(*block));

	(void)id;
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
	qemu_plugin_register_vcpu_tb_trans_cb(id, watch);
	return 0;
}
