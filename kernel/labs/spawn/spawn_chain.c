/*
 * Spawn labs: what each cure of the seed document saves. One program is started by init through the chain of
 * proc/spawn_chain.h, in the chosen variant, on kernel stacks of the chosen size; its frames are measured
 * live, from one record to the next, while its last function is running.
 */
#include "arch/cycles.h"
#include "arch/mmu.h"
#include "base/stack_note.h"
#include "base/symbol.h"
#include "lab/lab.h"
#include "labs/lib/system.h"
#include "labs/spawn/spawn_variants.h"
#include "proc/spawn.h"
#include "report/backtrace.h"
#include "report/report.h"
#include "report/upcall.h"

STACK_CALLS("kernel/*.c:new_user_elf*", "probe_chain", "spawn_probe: only spawn.chain sets it")
LAB_NAMES(variant_name)
STACK_MARK(
	"spawn/chain-*", "thread:init",
	"spawn.chain overflows that stack on purpose, at the sizes and with the frames that it compares")
STACK_TAKEN(
	"kernel/labs/spawn/spawn_*.c:init_server_*",
	"spawn.chain starts init with each; their frames are measured, not bounded (docs/spawn-chains.md)")

#define MAX_FRAMES 16
#define ROUNDS 2
#define EXIT_CODE 42

static const struct variant {
	void (*init)(void *);
	size_t block; /* bytes of a slot */
} variants[] = {
	{ init_server_baseline, sizeof(struct process_with_256) },
	{ init_server_boxed, sizeof(struct process_with_256) },
	{ init_server_scratch, sizeof(struct process_with_256) },
	{ init_server_flat, sizeof(struct process_with_256) },
	{ init_server_mmap64, sizeof(struct process_with_64) },
	{ init_server_mmap_indirect, sizeof(struct process) },
	{ init_server, sizeof(struct process) },
};

static const char *const variant_names[] = {
	"baseline", "boxed", "scratch", "flat", "mmap64", "mmap-indirect", "all",
};

static const char *variant_name(uint64_t value)
{
	return value < ARRAY_SIZE(variant_names) ? variant_names[value] : NULL;
}

/* What the probe found on init's stack. */
static struct {
	const struct thread *init;
	uintptr_t lowest,
		lowest_pc; /* the chain's last function: without a guard, perhaps below its stack */
	unsigned int frames;
	struct {
		uintptr_t pc;
		uintptr_t record;
	} frame[MAX_FRAMES];
} found;

/*
 * noinline: its own record's successor is that of the chain's last function. It only notes where the records
 * lie: what it would call to learn more would deepen the stack that is measured.
 */
__attribute__((noinline)) static void probe_chain(void)
{
	const uintptr_t *record = __builtin_frame_address(0);
	const struct stack *s = &current()->stack;

	found.init = current();
	found.frames = 0;
	found.lowest = record[0];
	found.lowest_pc = record[1];
	while (found.frames < MAX_FRAMES && stack_contains(s, record[0])) {
		found.frame[found.frames].pc = record[1];
		found.frame[found.frames++].record = record[0];
		record = (const uintptr_t *)record[0];
	}
}

/* Where frame i begins; behind the last one, where its stack ends. */
static uintptr_t bottom(unsigned int i)
{
	return i < found.frames ? frame_bottom(found.frame[i].record, found.frame[i].pc, true)
				: stack_top(&found.init->stack);
}

static void report_frames(void)
{
	for (unsigned int i = 0; i < found.frames; i++) {
		struct symbol symbol = { .name = "?" };

		symbol_find(found.frame[i].pc - 1, &symbol);
		report("[spawn] frame function=%s frame=%lu", symbol.name,
		       bottom(i + 1) - bottom(i));
	}
}

/* Bytes that 64 slots take: addresses for their kernel stacks, and the slots themselves. */
static void report_memory(size_t stack, size_t block)
{
	report("[spawn] memory slots=%u stack=%lu guard=%lu stacks=%lu block=%lu blocks=%lu",
	       MAX_PROCESSES, stack, PAGE_SIZE, MAX_PROCESSES * (stack + PAGE_SIZE), block,
	       MAX_PROCESSES * block);
}

#define CHAIN_PARAMS(P)                                                                            \
	P(variant, 0, 0, 6, "which cures are on", .name = variant_name)                            \
	P(stack, 32 * KiB, 8 * KiB, 64 * KiB, "bytes of each kernel stack, of init's too")         \
	P(cost, 0, 0, 1, "1: print how many instructions the second spawn retired")                \
	P(quarter, 0, 0, 1, "1: a quarter of each kernel stack must stay free")

LAB(spawn, chain, "init starts a program through four functions with large frames", CHAIN_PARAMS)
{
	const struct variant *v = &variants[a->variant];
	struct system_count before;
	size_t used, depth;

	cycles_start();
	system_start_chain(v->block, a->stack, v->init);
	before = system_counts();
	for (int round = 1; round <= ROUNDS; round++) {
		int64_t code;

		/* Behind a tick, so that none comes into what is counted. */
		sched_align();
		spawn_probe = round == 1 ? probe_chain : NULL;
		code = system_run("hello", EXIT_CODE, NULL);
		if (code != EXIT_CODE)
			panic("wrong-exit-code");
		system_expect_census(&before);
	}
	report_frames();
	used = thread_stack_high_watermark_bytes(found.init);
	depth = stack_top(&found.init->stack) - frame_bottom(found.lowest, found.lowest_pc, true);
	report("[spawn] chain variant=%s depth=%lu used=%lu margin=%lu", variant_names[a->variant],
	       depth, used, a->stack - used);
	if (a->cost)
		report("[spawn] cost instructions=%lu", spawn_instructions);
	report_memory(a->stack, process_block_bytes());
	if (a->quarter)
		system_report_stacks();
	/* protect=-guard: its frames lie below its stack, and what they did not write is not missed. */
	if (depth > a->stack)
		end("survived");
}
