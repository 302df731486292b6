/* An interrupt at one chosen instruction (icount shift 0): for the labs that sweep one over a window. */
#ifndef LABS_LIB_PLACEMENT_H
#define LABS_LIB_PLACEMENT_H

#include "arch/types.h"

/* Once, before placement_arm(). */
void placement_init(void);

/*
 * Arm the timer to fire some `counts` (of 16 instructions) from now. Whoever lets as many instructions go
 * by as are returned comes `instructions`, and a constant, nearer to the interrupt: the counter's own
 * coarseness is made up for.
 */
unsigned long placement_arm(uint64_t counts, unsigned long instructions);

#endif
