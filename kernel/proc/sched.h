/* The scheduler: round robin, preemptive at each tick, one run queue. For CPU 0, so far the only one. */
#ifndef PROC_SCHED_H
#define PROC_SCHED_H

#include "base/current.h"

/* The thread pool, the idle thread, and canaries that differ by boot line. */
void sched_init(const char *seed, size_t length);

/* Leave the boot context for the first thread, for good. */
__attribute__((noreturn)) void sched_start(void);

/* A lab's own code on the idle thread, each time that it wakes; NULL: none. */
extern void (*idle_hook)(void);

/* Put a thread at the end of the run queue. */
void sched_ready(struct thread *t);

/* The software checks of an interrupted thread: NULL, or the frame to resume after a fault. */
struct frame *sched_check(struct thread *t);

/* A number that no other thread got: the next canary. */
uint64_t sched_canary(void);

#endif
