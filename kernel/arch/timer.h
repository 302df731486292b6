/*
 * The generic timer (Arm ARM D11), twice: the physical timer ticks at TICK_HZ as IRQ; the virtual
 * timer is the watchdog and fires as FIQ, once. Times are guest time.
 */
#ifndef ARCH_TIMER_H
#define ARCH_TIMER_H

#include "arch/types.h"

#define TICK_HZ 1000

void timer_start(void);
/* A parked or waiting CPU must not tick: a pending timer makes WFI return at once, for ever. */
void timer_stop(void);
/*
 * Called at each tick, before anything else: sets the next, and says how many were due. Where interrupts were masked,
 * or the host ran something else, that is more than one: all at once they would leave no thread its turn.
 */
unsigned long timer_next(void);

/*
 * Does guest time pass with the instructions (QEMU's -icount), or with the host's clock? In the latter case the
 * host may take the CPU away for any while, and no deadline says what the guest could have done until then.
 */
bool timer_is_exact(void);

/* One tick: when the timer's counter (CNTFRQ_EL0 a second) is `count`, or `counts` from now. */
void timer_fire_at(uint64_t count);
void timer_fire_in(uint64_t counts);

/*
 * Stop both of this CPU's, and later go on: the tick a whole period from then, the watchdog with
 * what it had left. What did not run stays off.
 */
struct timer_pause {
	bool tick, watchdog;
	uint64_t left;	/* of the watchdog's time, counts */
	uint64_t since; /* CNTPCT_EL0 */
};
void timer_pause(struct timer_pause *p);
void timer_resume(const struct timer_pause *p);

/* Does this CPU's tick come? */
bool timer_ticks(void);

/* Whole guest milliseconds since CNTPCT_EL0 was `since`. */
uint64_t counter_ms(uint64_t since);

/* Fire in ms from now; 0 disarms. */
void watchdog_arm(uint64_t ms);

/*
 * Whole guest ms since the watchdog was armed, and those of them that it stood still (timer_pause).
 * From CNTPCT_EL0: the watchdog itself goes by the other counter.
 */
struct watchdog_time {
	uint64_t after, paused;
};
struct watchdog_time watchdog_time(void);

#endif
