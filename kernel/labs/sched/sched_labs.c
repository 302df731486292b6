/* Scheduler labs: what the other labs lean on. scenarios/test_sched.py is the other half. */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/cpu.h"
#include "lab/lab.h"
#include "proc/thread.h"
#include "report/report.h"

#define MAX_SPINNERS 8

static uint64_t spins[MAX_SPINNERS];
static bool stop;

/* Never gives way: only preemption lets anybody else run. */
static void spinner(void *slot)
{
	while (!READ_ONCE(stop))
		WRITE_ONCE(*(uint64_t *)slot, *(uint64_t *)slot + 1);
}

#define PREEMPT_PARAMS(P)                                                                          \
	P(threads, 4, 2, MAX_SPINNERS, "threads that never give way")                              \
	P(ticks, 40, 8, 1000, "how long they run")

static bool all_ran(uint64_t threads)
{
	for (uint64_t i = 0; i < threads; i++)
		if (!READ_ONCE(spins[i]))
			return false;
	return true;
}

static const char *fairness(bool exact, uint64_t least, uint64_t most)
{
	if (!exact)
		return "unknown";
	return least >= most / 2 ? "yes" : "no";
}

/*
 * Without -icount a turn is worth what the host leaves of it: then only that each has one is asked for, and
 * whoever never has one is the watchdog's. With it, fair is: nobody has less than half of what the luckiest has.
 */
LAB(sched, preempt, "threads that never give way share the CPU by the tick", PREEMPT_PARAMS)
{
	struct thread *threads[MAX_SPINNERS] = { NULL };
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;
	bool exact = timer_is_exact();

	for (uint64_t i = 0; i < a->threads; i++) {
		threads[i] = thread_create("spinner", spinner, &spins[i], PAGE_SIZE);
		if (!threads[i])
			panic("no-spinner");
	}
	lab_takes(a->ticks * 1000 / TICK_HZ);
	thread_sleep(a->ticks);
	while (!exact && !all_ran(a->threads))
		thread_sleep(1);
	WRITE_ONCE(stop, true);
	for (uint64_t i = 0; i < a->threads; i++) {
		thread_join(threads[i], NULL);
		least = spins[i] < least ? spins[i] : least;
		most = spins[i] > most ? spins[i] : most;
	}
	report("[sched-lab] spinners=%lu starved=%s fair=%s", a->threads, least ? "none" : "some",
	       fairness(exact, least, most));
	end(!exact || least >= most / 2 ? "ok" : "hang by=starvation");
}
