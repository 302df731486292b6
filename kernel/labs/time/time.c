/*
 * Time labs: ticks, sleeps and the watchdog, held against CNTPCT_EL0, which nobody sets. What
 * differs from it is caught by=cntpct. scenarios/test_time.py is the other half.
 */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/cpu.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/illegal.h"
#include "labs/lib/system.h"
#include "proc/sched.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

STACK_CALLS("kernel/report/exception.c:dispatch", "note_tick spin_here", "tick_hook: time.* set it")
STACK_CALLS("kernel/proc/sched.c:idle", "spin_here", "idle_hook: time.hang sets it")
STACK_CALLS("kernel/report/fault.c:report_finding", "report_slowly",
	    "fault_report_hook: time.killed sets it")

#define TOLERANCE 64 /* counts: what the way into the handler may take, 1 us at 62.5 MHz */

static uint64_t now(void)
{
	return sysreg_read(cntpct_el0);
}

static uint64_t frequency(void)
{
	return sysreg_read(cntfrq_el0);
}

static void spin_ms(uint64_t ms)
{
	uint64_t since = now();

	while (now() - since < ms * (frequency() / 1000))
		;
}

static struct {
	uint64_t count, first, last, shortest;
	uint64_t counted; /* one an interrupt, as if nobody asked how many were due */
	bool from_now;
} ticks;

static void note_tick(void)
{
	uint64_t at = now();

	if (!ticks.count++) {
		ticks.first = at;
	} else if (at - ticks.last < ticks.shortest) {
		ticks.shortest = at - ticks.last;
	}
	ticks.last = at;
	if (!ticks.from_now)
		return;
	timer_fire_in(frequency() / TICK_HZ);
	cpu_local()->ticks = ++ticks.counted;
}

static void watch_ticks(bool from_now)
{
	ticks.shortest = UINT64_MAX;
	ticks.from_now = from_now;
	ticks.counted = cpu_local()->ticks;
	tick_hook = note_tick;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

__attribute__((noreturn)) static void end_right(bool right)
{
	end(right ? "ok" : "caught by=cntpct");
}

#define NOW_PARAM(P) P(now, 0, 0, 1, "1: each tick is set from now, as a timer that drifts does it")
#define TICK_PARAMS(P) P(ticks, 100, 10, 1000, "how many are looked at") NOW_PARAM(P)

LAB(time, tick, "ticks come at their frequency, and do not drift", TICK_PARAMS)
{
	uint64_t period = frequency() / 1000;
	uint64_t wanted = a->ticks * period;
	uint64_t seen;

	lab_takes(a->ticks * 1000 / TICK_HZ);
	watch_ticks(a->now);
	while (READ_ONCE(ticks.count) <= a->ticks)
		wfi();
	tick_hook = NULL;
	seen = ticks.last - ticks.first;
	report("[time-lab] ticks=%lu hz=%lu period=%lu drift=%s jitter=%s raw=0x%lx", a->ticks,
	       frequency(), (seen + a->ticks / 2) / a->ticks,
	       distance(seen, wanted) <= TOLERANCE ? "none" : "some",
	       distance(ticks.shortest, period) <= TOLERANCE ? "none" : "some", seen);
	end_right(distance(seen, wanted) <= TOLERANCE);
}

#define MASKED_PARAMS(P) P(ms, 10, 2, 100, "how long interrupts are masked") NOW_PARAM(P)

LAB(time, masked, "ticks that could not come are not lost", MASKED_PARAMS)
{
	uint64_t before = cpu_local()->ticks;
	uint64_t flags = irq_save();
	uint64_t came;

	watch_ticks(a->now);
	spin_ms(a->ms);
	irq_restore(flags);
	came = cpu_local()->ticks - before;
	report("[time-lab] masked=%lu ticks=%lu lost=%lu", a->ms, came,
	       a->ms > came ? a->ms - came : 0);
	end_right(came == a->ms);
}

#define SLEEP_PARAMS(P) P(ticks, 7, 1, 100, "how long it sleeps")

LAB(time, sleep, "who sleeps wakes at its tick", SLEEP_PARAMS)
{
	uint64_t period = frequency() / TICK_HZ;
	uint64_t before, slept;

	thread_sleep(1); /* right after a tick */
	before = now();
	thread_sleep(a->ticks);
	slept = now() - before;
	report("[time-lab] asked=%lu slept=%lu raw=0x%lx", a->ticks, (slept + period / 2) / period,
	       slept);
	end_right((slept + period / 2) / period == a->ticks);
}

#define STOPPED_PARAMS(P) P(stop, 1, 0, 1, "0: the tick goes on")

LAB(time, stopped, "a thread sleeps while no tick comes", STOPPED_PARAMS)
{
	if (a->stop)
		timer_stop();
	thread_sleep(2);
	report("[time-lab] woke up");
}

/* --- the watchdog ----------------------------------------------------------------------------- */

static uint64_t slow_ms;

/* fault_report_hook: a report that takes its time. */
static void report_slowly(void)
{
	spin_ms(slow_ms);
}

static void slow_victim(__attribute__((unused)) void *unused)
{
	write_null();
}

static struct thread *make_victim(__attribute__((unused)) void *unused)
{
	return thread_create("victim", slow_victim, NULL, THREAD_STACK_DEFAULT);
}

__attribute__((noinline)) static void hang(void)
{
	irq_save();
	for (;;)
		;
}

/*
 * Two threads are killed, and each report takes so long: that much time the watchdog stands still.
 */
static void kill_two(void)
{
	const char *detector = NULL;

	for (int round = 1; round <= 2; round++) {
		struct thread *t = make_victim(NULL);

		if (!t)
			panic("no-victim");
		if (thread_join(t, &detector) != THREAD_KILLED)
			end("survived");
		report("[time-lab] killed round=%d by=%s", round, detector);
		thread_sleep(2);
	}
}

#define HANG_PARAMS(P) P(slow, 2, 0, 100, "ms that each fault report takes")

LAB(time, killed, "after two kills a hang: the watchdog fires in its time", HANG_PARAMS)
{
	slow_ms = a->slow;
	fault_report_hook = report_slowly;
	kill_two();
	fault_report_hook = NULL;
	hang();
}

enum hanging { IN_HANDLER, IN_IDLE, IN_USER };
LAB_WORDS(hanging_word, "handler", "idle", "user")

/* tick_hook, idle_hook. */
__attribute__((noinline)) static void spin_here(void)
{
	for (;;)
		;
}

/* Without a tick, so that it is found at EL0, and not in a handler by chance. */
static void run_spinner(void)
{
	system_start(8 * KiB);
	timer_stop();
	system_run("idler", 0, NULL);
}

#define PLACE_PARAMS(P) P(in, IN_HANDLER, 0, IN_USER, "where it hangs", .name = hanging_word)

LAB(time, hang, "a hang anywhere but in a thread of the kernel", PLACE_PARAMS)
{
	if (a->in == IN_HANDLER)
		tick_hook = spin_here;
	if (a->in == IN_IDLE)
		idle_hook = spin_here;
	if (a->in == IN_USER)
		run_spinner();
	irq_save();
	thread_block();
}
