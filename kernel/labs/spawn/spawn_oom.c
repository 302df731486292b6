/*
 * Spawn labs: everything on the way to a process that may fail is made to fail, one call after the other.
 * After each the launch was either done or refused, and no process, page, table, stack, file, handle or
 * message is left; and the next launch works.
 */
#include "base/ledger.h"
#include "base/protect.h"
#include "lab/lab.h"
#include "labs/lib/operation.h"
#include "labs/lib/system.h"
#include "proc/spawn.h"
#include "report/inject.h"
#include "report/report.h"

/* user/spawner.c, and what it exits with. */
#define SPAWNER_RETRIES 0x200
#define SPAWNED 2
#define SPAWNED_AT_LAST 3
#define HANDLE_LOST ERROR_HANDLE

#define NTH_MAX 500 /* a launch that still fails then will never end */

struct tally {
	unsigned int injected, refused;
};

static struct census before;
static struct system_count before_system;

static size_t report_held(const struct inject_site *site, uint64_t nth)
{
	size_t held = 0;

	for (const struct ledger_entry *e = ledger_next(NULL); e; e = ledger_next(e)) {
		held++;
		report("[spawn] leak fault=%s,nth=%lu site=%s bytes=%lu from=%pR", site->name, nth,
		       e->site->name, e->bytes, (void *)e->callers[0]);
	}
	return held;
}

static size_t count_differences(void)
{
	struct census now = take_census();
	struct system_count system = system_counts();
	size_t differ = 0;

	for (int i = 0; i < NR_CENSUS; i++)
		differ += now.counts[i] != before.counts[i];
	return differ + (system.processes != before_system.processes) +
	       (system.open_files != before_system.open_files) +
	       (system.heap != before_system.heap) + (system.messages != before_system.messages);
}

/*
 * Ledger and census, as inject.sweep has them: the one says who, the other counts what is no allocation. Of a
 * handle that is still taken only the spawner itself can tell.
 */
static void expect_nothing_held(const struct inject_site *site, uint64_t nth, bool handle)
{
	size_t held;

	if (!protected(PROTECT_LEAK_CHECK))
		return;
	held = report_held(site, nth);
	if (ledger_missed)
		panic("ledger-full");
	if (!held && !count_differences() && !handle)
		return;
	report("[spawn] held fault=%s,nth=%lu leaked=%lu counts=%lu handle=%s", site->name, nth,
	       held, count_differences(), handle ? "yes" : "no");
	end("caught by=leak-check");
}

/*
 * A spawner that spawns another: both ways to a launch, the kernel's and a system call's. What is refused
 * to the second is tried again and must then get the handle that the first try gave back.
 * True: it was injected, so there may be one more.
 */
static bool launch_with(struct inject_site *site, uint64_t nth, struct tally *tally)
{
	int64_t pid;
	int64_t code = SPAWNED;
	bool injected, refused;

	before = take_census();
	before_system = system_counts();
	ledger_open();
	inject_arm(site, &(struct inject_rule){ .nth = nth, .times = 1 });
	pid = system_launch("spawner", SPAWNER_RETRIES);
	if (pid > 0)
		code = process_wait((uint32_t)pid, NULL);
	injected = inject_armed()->injected != 0;
	inject_disarm();
	ledger_close();
	if (code != SPAWNED && code != SPAWNED_AT_LAST && code != HANDLE_LOST)
		panic("wrong-exit-code");
	refused = pid < 0 || code != SPAWNED;
	if (refused && !injected)
		panic("refused-without-fault");
	expect_nothing_held(site, nth, code == HANDLE_LOST);
	tally->injected += injected;
	tally->refused += refused;
	return injected;
}

static unsigned int sweep(struct inject_site *site)
{
	struct tally tally = { 0 };
	uint64_t nth = 1;

	while (launch_with(site, nth, &tally))
		if (++nth > NTH_MAX)
			panic("no-end-of-calls");
	if (tally.injected)
		report("[spawn] swept site=%s injected=%u refused=%u", site->name, tally.injected,
		       tally.refused);
	return tally.injected;
}

#define OOM_PARAMS(P)                                                                              \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(leak, FORGETS_NOTHING, FORGETS_NOTHING, NR_SPAWN_FORGETS - 1,                            \
	  "what was refused is forgotten; 1: the process; 2: the handle that was for it")

LAB(spawn, oom, "each call on the way to a process fails in turn; nothing is left behind",
    OOM_PARAMS)
{
	unsigned int injected = 0;

	if (inject_armed())
		end("bad-args why=two-faults : spawn.oom injects its own");
	system_start(a->stack);
	operations_prepare();
	spawn_forgets = (enum spawn_forgets)a->leak;
	for (struct inject_site *site = inject_next(NULL); site; site = inject_next(site))
		injected += sweep(site);
	report("[spawn] oom injected=%u", injected);
	if (a->leak)
		end("survived");
	if (!injected || system_run("hello", 0, NULL))
		panic("nothing-was-tested");
	system_report_stacks();
}
