/* Cost labs: from the first instruction to the lab. scenarios/test_cost.py is the other half. */
#include "arch/marks.h"
#include "lab/lab.h"
#include "labs/cost/cost.h"
#include "report/report.h"

static const char *const phases[NR_MARKS] = {
	[MARK_BSS] = "bss",	      [MARK_PAINT] = "paint",	[MARK_TABLES] = "tables",
	[MARK_HIGH] = "mmu-on",	      [MARK_CPU] = "console",	[MARK_TREE] = "device-tree",
	[MARK_LINE] = "boot-line",    [MARK_STACKS] = "stacks", [MARK_DEVICES] = "devices",
	[MARK_RAM] = "ram",	      [MARK_WINDOW] = "window", [MARK_SCHED] = "scheduler",
	[MARK_THREAD] = "lab-thread",
};

LAB(cost, boot, "from the first instruction to the lab's thread, phase by phase", NO_PARAMS)
{
	uint64_t before = 0;

	for (int i = 0; i < NR_MARKS; i++) {
		if (boot_marks[i] <= before)
			end("panic why=mark-missing : %s", phases[i]);
		report("[cost] boot phase=%s instructions=%lu", phases[i], boot_marks[i] - before);
		before = boot_marks[i];
	}
	report("[cost] boot phase=all instructions=%lu", before);
	cost_start();
}
