/* See grower.h. */
#include "labs/grow/grower.h"

#include "arch/cycles.h"
#include "arch/timer.h"
#include "base/stack_note.h"
#include "labs/lib/victim.h"
#include "mem/growspace.h"
#include "proc/patch.h"
#include "report/report.h"

STACK_UNBOUNDED("thread:grower", 64 * MiB, "the growers of labs grow, and overflow on purpose")
STACK_STARTS("thread:grower", "kernel/labs/*.c:*_grower", 64 * MiB, "struct grower: function")

/* All of it, or as much as the first frame needs. */
static size_t first_pages(const struct grow_spec *spec)
{
	return spec->kind == GROW_FIXED ? spec->limit / PAGE_SIZE : 1;
}

struct thread *grower_make(void *argument)
{
	struct grower *g = argument;
	size_t free = growspace_fill(g->reserve);
	struct thread *t;

	report("[grow] reserve asked=%lu filled=%s", g->reserve, free < g->reserve ? "no" : "yes");
	if (free < g->reserve)
		end("caught by=stack-oom : not even the beginning of the stack can be backed");
	timer_stop();
	g->setup = cycles();
	t = grow_thread("grower", g->function, g->argument, &g->spec);
	g->setup = cycles() - g->setup;
	timer_start();
	if (!t && growspace_count().free < first_pages(&g->spec))
		end("caught by=stack-oom : not even the first page of the stack can be backed");
	if (!t)
		panic("no-grower");
	if (g->measured)
		report("[grow] made pages_used=%lu instructions=%lu", growspace_count().mapped,
		       g->setup);
	return t;
}

void grower_run(struct grower *g)
{
	/* Before the first census: a page that does not come back to the reserve is then taken anew, and seen. */
	victim_neighbour();
	growspace_fill(g->reserve);
	cycles_start();
	victim_run_made(grower_make, g);
}

void grower_report(const struct growth *g)
{
	report("[grow] grown growths=%lu shrinks=%lu holes=%lu pages_used=%lu peak=%lu", g->growths,
	       g->shrinks, g->pages_in_holes, growspace_count().mapped, growspace_count().peak);
}

void grower_report_copy(const struct growth *g)
{
	report("[grow] copied words=%lu pointers=%lu records=%lu resigned=%lu foreign=%lu",
	       g->words, g->pointers, g->records, g->resigned, g->foreign);
}

void grower_patch(const void *function)
{
	const char *why = patch_in(function);

	if (why)
		end("panic why=not-patched-%s", why);
	report("[grow] patched function=%pS frame=%lu check=%lu", function, patch_frame(function),
	       patch_check(function));
}

uint64_t grower_count(deep_function *deep, uint64_t frames)
{
	uint64_t began, took;

	/* No tick in between. Masking would not do: no stack grows then. */
	timer_stop();
	began = cycles();
	deep_run(deep, frames);
	took = cycles() - began;
	timer_start();
	return took;
}
