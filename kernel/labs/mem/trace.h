/*
 * An allocation trace: what is asked for and given back, in what order, without a word of who serves it.
 * Some are made by a rule here, two were recorded from the kernel itself (harness/dev/traces.py).
 */
#ifndef LABS_MEM_TRACE_H
#define LABS_MEM_TRACE_H

#include "arch/types.h"

#define TRACE_SLOTS 128
#define TRACE_EVENTS 512

/* size bytes for a slot that is empty; 0: what the slot holds is given back. */
struct trace_event {
	uint16_t slot, size;
};

struct trace {
	const char *name;
	const struct trace_event *events;
	size_t count;
};

/* fixed, random, ramp, queue, boot, threads. */
#define TRACES 6
extern struct trace traces[TRACES];

/* Make those that are made by a rule. */
void traces_make(void);

#endif
