/* See cost.h. */
#include "labs/cost/cost.h"

#include "arch/cycles.h"
#include "base/stack_note.h"
#include "report/report.h"

STACK_CALLS(
	"cost_of",
	"pool_alloc pool_free heap_alloc heap_free take_bump lab_list_* lab_return lab_hundred lab_yield least_pool_* least_heap_alloc least_check least_scan exception_entry sched_check ipc_call_back stack_high_watermark symbol_find backtrace map_page with_canary without_canary signed_call unsigned_call",
	"cost.h: what pool.constant, mem.traces and the cost labs measure")

#define PROBES 8

static uint64_t overhead;

/* Not inlined: one call site for all. */
__attribute__((noinline)) struct cost cost_of(costed function, void *object, uintptr_t argument)
{
	uint64_t flags = irq_save();
	uint64_t before = cycles();
	void *result = function(object, argument);
	uint64_t after = cycles();

	irq_restore(flags);
	return (struct cost){ result, after - before - overhead };
}

bool cost_start(void)
{
	bool exact = true;

	cycles_start();
	overhead = 0;
	overhead = cost_of(lab_return, NULL, 0).instructions - 1;
	for (int i = 0; i < PROBES; i++)
		exact &= cost_of(lab_hundred, NULL, 0).instructions == 100;
	if (!exact)
		overhead = 0;
	report("[mem-lab] cost unit=instructions exact=%s%s", exact ? "yes" : "no",
	       exact ? ""
		     : " : boot under -icount shift=0; without it these are the host's nanoseconds");
	return exact;
}

void cost_job(const char *job, uint64_t instructions, uint64_t least)
{
	record_begin();
	record_add("[cost] job=%s instructions=%lu", job, instructions);
	if (least)
		record_add(" least=%lu ratio_pct=%lu", least,
			   (instructions * 100 + least - 1) / least);
	record_end();
}
