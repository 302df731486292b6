/*
 * What the core calls in the layer above it, proc/: the whole list. Each takes and returns what
 * exception_entry() resumes: the register frame of a thread.
 */
#ifndef CORE_UPCALL_H
#define CORE_UPCALL_H

#include "arch/frame.h"

/* One tick went by: the frame to resume, of the same thread or of another. */
struct frame *sched_tick(void);

/* The current thread gives way (svc): it waits, sleeps, ended, or only yields. */
struct frame *sched_switch(void);

/* Sleep, on the CPU's idle thread, until the tick after next has just come. */
void sched_align(void);

/* A data abort of the current thread: the frame to resume if its stack has grown, NULL if it is no such. */
struct frame *grow_fault(struct frame *f);

/* SVC_GROW, SVC_SHRINK: the thread's prologue asks for a larger stack, or a safe point for a smaller one. */
struct frame *grow_call(struct frame *f);

/* The current thread is the culprit of a fault: end it, resume another. */
struct frame *sched_kill(const char *detector);

#endif
