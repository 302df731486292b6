/* Copying what is in use of a stack, and rewriting what points into it. For grow_copy.c alone. */
#ifndef PROC_GROW_ADJUST_H
#define PROC_GROW_ADJUST_H

#include "proc/grow.h"

/* A stack that is left: [base, top), of which [sp, top) goes `delta` bytes away. */
struct copied {
	uintptr_t base, top, sp, delta;
};

/*
 * Copy, and rewrite as g->spec.adjust says, in the copy and in the thread's registers f; f->sp moves always.
 * Both places are mapped.
 */
void grow_adjust(struct growth *g, struct frame *f, const struct copied *old);

#endif
