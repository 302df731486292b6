/* Scheduler labs: what the other labs lean on. scenarios/test_sched.py is the other half. */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "core/cpu.h"
#include "core/lab.h"
#include "core/report.h"
#include "proc/thread.h"

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

/* Fair is: nobody has less than half of what the luckiest has. */
LAB(sched, preempt, "threads that never give way share the CPU by the tick", PREEMPT_PARAMS)
{
	struct thread *threads[MAX_SPINNERS] = { NULL };
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;

	for (uint64_t i = 0; i < a->threads; i++) {
		threads[i] = thread_create("spinner", spinner, &spins[i], PAGE_SIZE);
		if (!threads[i])
			panic("no-spinner");
	}
	thread_sleep(a->ticks);
	WRITE_ONCE(stop, true);
	for (uint64_t i = 0; i < a->threads; i++) {
		thread_join(threads[i], NULL);
		least = spins[i] < least ? spins[i] : least;
		most = spins[i] > most ? spins[i] : most;
	}
	report("[sched-lab] spinners=%lu starved=%s fair=%s", a->threads, least ? "none" : "some",
	       least >= most / 2 ? "yes" : "no");
	end(least >= most / 2 ? "ok" : "hang by=starvation");
}

/* As after a fault report that forgot to let time go on: no tick comes, and no watchdog either. */
LAB(sched, time_lost, "everybody waits for a tick, and both timers are off", NO_PARAMS)
{
	timer_pause();
	thread_sleep(1);
	end("survived");
}
