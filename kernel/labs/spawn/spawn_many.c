/* Spawn labs: many processes. In each other, side by side until there is no slot, and without a parent. */
#include "lab/lab.h"
#include "labs/lib/system.h"
#include "proc/spawn.h"
#include "report/report.h"

#define ROUNDS 2

/* user/hello.c, user/spawner.c */
#define HELLO_WAITS 0x100
#define SPAWNER_LEAVES 0x100
#define ORPHAN_CODE 5
#define LEAVER_CODE 7

#define DEPTH_PARAMS(P)                                                                            \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(depth, 8, 1, 63, "programs in each other")

LAB(spawn, depth, "programs that start programs, and wait for them", DEPTH_PARAMS)
{
	system_start(a->stack);
	system_expect_exit("spawner", a->depth, (int64_t)a->depth);
}

/* Whoever is at the gate may go on. The kernel's side of HANDLE_GATE. */
static void open_gate(void)
{
	static struct message m;

	ipc_receive(&gate_endpoint, &m);
	m.status = 0;
	ipc_answer(&m);
}

static void fill_slots(uint32_t *pids)
{
	for (int i = 0; i < MAX_PROCESSES; i++) {
		int64_t pid = system_launch("hello", HELLO_WAITS | i);

		if (pid < 0)
			panic("slot-refused");
		pids[i] = (uint32_t)pid;
	}
}

static void reap(const uint32_t *pids)
{
	for (int i = 0; i < MAX_PROCESSES; i++)
		open_gate();
	for (int i = 0; i < MAX_PROCESSES; i++)
		if (process_wait(pids[i], NULL) != i)
			panic("wrong-exit-code");
}

LAB(spawn, storm, "all slots filled, one more refused, all reaped; twice", SYSTEM_STACK_PARAM)
{
	static uint32_t pids[MAX_PROCESSES];
	struct system_count before;
	size_t pages = 0;

	system_start(a->stack);
	before = system_counts();
	for (int round = 1; round <= ROUNDS; round++) {
		struct system_count full;
		int64_t refused;

		fill_slots(pids);
		refused = system_launch("hello", 0);
		full = system_counts();
		report("[spawn] storm round=%d processes=%lu refused=%ld", round, full.processes,
		       refused);
		if (refused != ERROR_SLOTS || (pages && pages != full.pages))
			panic("storms-differ");
		pages = full.pages;
		reap(pids);
		system_expect_census(&before);
	}
	system_report_stacks();
}

LAB(spawn, orphans, "a parent ends before its child; init reaps the child", SYSTEM_STACK_PARAM)
{
	struct system_count before;

	system_start(a->stack);
	before = system_counts();
	for (int round = 1; round <= ROUNDS; round++) {
		int64_t code = system_run("spawner", SPAWNER_LEAVES, NULL);
		struct system_count orphaned = system_counts();

		report("[spawn] orphans round=%d parent=%ld left=%lu", round, code,
		       orphaned.processes);
		if (code != LEAVER_CODE || orphaned.processes != before.processes + 1)
			panic("no-orphan");
		open_gate();
		while (process_count() > before.processes)
			thread_yield();
		system_expect_census(&before);
	}
	system_report_stacks();
}

#define HOG_PARAMS(P)                                                                              \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(bytes, 4 * KiB, 1, 1 * MiB, "of each region")                                            \
	P(regions, 256, 0, 256, "how many it must get before it is refused; 0: RAM runs out first")

LAB(spawn, hog, "a program maps regions until it is refused; all come back", HOG_PARAMS)
{
	int64_t expected = a->regions ? (int64_t)a->regions : ERROR_MEMORY;
	int64_t code;

	system_start(a->stack);
	/* How far it comes depends on RAM as well: a wrong guess on the boot line is no fault of the kernel's. */
	code = system_run("hog", a->bytes, NULL);
	if (code != expected)
		end("bad-args why=other-end key=regions bytes=%lu exit=%ld : it maps so many, or runs out of memory (%d): regions=0",
		    a->bytes, code, ERROR_MEMORY);
	system_expect_exit("hog", a->bytes, expected);
}
