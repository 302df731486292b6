/*
 * Growing as an operation (operation.h): a thread is made, grows by several pages, and ends; inject.sweep
 * has each request on the way refused. What its maker asks for, and what it asks for itself, it is told.
 * What a fault handler or a prologue's check asks for, nobody can be told: the thread ends in stack-oom.
 */
#include "base/stack_note.h"
#include "labs/grow/grow_deep.h"
#include "labs/lib/operation.h"
#include "mem/growspace.h"
#include "proc/grow.h"
#include "proc/patch.h"
#include "proc/thread.h"
#include "report/classify.h"
#include "report/report.h"

STACK_CALLS("kernel/report/fault.c:handle", "no_pages",
	    "fault_expected_hook: op=demand and op=copy set it")

#define LIMIT (64 * KiB)
#define FRAMES 100 /* some pages */
#define AHEAD (2 * PAGE_SIZE)
#define RESERVE_DEMAND 6
#define RESERVE_COPY 12
#define SAFE_POINTS 4

static bool went_through;

/* Any other fault is reported, and ends the machine. */
static bool no_pages(const struct finding *n)
{
	return n->class == CLASS_STACK_OOM && current()->growth;
}

static void descend(deep_function *deep)
{
	deep_run(deep, FRAMES);
	if (deep_check.frames != FRAMES || !deep_right())
		panic("recursion-went-wrong");
}

static void swept_demand_grower(__attribute__((unused)) void *unused)
{
	if (!grow_prefault(AHEAD))
		return;
	descend(grow_deep_plain);
	went_through = true;
}

/* A smaller one that is refused is no loss: it keeps what it has. */
static void swept_copy_grower(__attribute__((unused)) void *unused)
{
	descend(grow_deep_patched);
	for (int i = 0; i < SAFE_POINTS; i++)
		grow_ask_smaller();
	descend(grow_deep_patched);
	went_through = true;
}

static bool run(void (*function)(void *), enum grow_kind kind)
{
	struct grow_spec spec = { kind, LIMIT, ADJUST_CONSERVATIVE, SHRINK_QUARTER, .paint = true };
	struct thread *t;

	/* Before it is made: a tick may let it run at once. */
	went_through = false;
	fault_expected_hook = no_pages;
	t = grow_thread("grower", function, NULL, &spec);
	if (t)
		thread_join(t, &operation_killed_by);
	fault_expected_hook = NULL;
	return t && went_through;
}

static bool run_on(size_t reserve, void (*function)(void *), enum grow_kind kind)
{
	bool done = growspace_fill(reserve) == reserve && run(function, kind);

	growspace_drain();
	return done;
}

OPERATION(demand, "a stack grows page by page as it is touched, and ends")
{
	return run_on(RESERVE_DEMAND, swept_demand_grower, GROW_DEMAND);
}

OPERATION(copy, "a check is patched in, a stack grows by moving, shrinks, grows, and ends")
{
	bool done =
		!patch_in(grow_deep_patched) && run_on(RESERVE_COPY, swept_copy_grower, GROW_COPY);

	patch_out(grow_deep_patched);
	return done;
}
