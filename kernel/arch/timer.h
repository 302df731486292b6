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
/* Will there be a tick? Who waits for one without would wait for ever, and the watchdog may be off as well. */
bool timer_runs(void);
/* Called at each tick, before anything else: sets the next. */
void timer_next(void);

/* One tick: when the timer's counter (CNTFRQ_EL0 a second) is `count`, or `counts` from now. */
void timer_fire_at(uint64_t count);
void timer_fire_in(uint64_t counts);

/* Stop both, and later go on: the tick a whole period from then, the watchdog with what it had left. */
void timer_pause(void);
void timer_resume(void);

/* Fire in ms from now; 0 disarms. */
void watchdog_arm(uint64_t ms);

#endif
