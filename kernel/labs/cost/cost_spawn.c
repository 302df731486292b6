/* Cost labs: a program started. scenarios/test_cost.py is the other half. */
#include "lab/lab.h"
#include "labs/cost/cost.h"
#include "labs/lib/system.h"
#include "mem/page.h"
#include "proc/spawn.h"
#include "report/report.h"
#include "report/upcall.h"

/* Every page that a process takes is cleared or painted: one store of two registers for each 16 bytes. */
#define PAGE_FILL (PAGE_SIZE / 16)

LAB(cost, spawn, "a program started, from the request to init to its answer", NO_PARAMS)
{
	size_t before, pages;

	cost_start();
	system_start(16 * KiB);
	if (system_run("hello", 0, NULL))
		panic("no-first-run");
	/* Behind a tick, so that none comes into what is counted. */
	sched_align();
	before = page_count().in_use;
	if (system_launch("hello", 0) < 0)
		panic("no-second-run");
	pages = page_count().in_use - before;
	report("[cost] spawn pages=%lu", pages);
	cost_job("spawn", spawn_instructions, pages * PAGE_FILL);
}
