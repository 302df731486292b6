/*
 * What a call costs, in instructions that the function retires, its `ret` included and the caller's not.
 * A lab calls cost_start() once. Every function is called from the same place, as a pointer, so the same
 * instructions of the caller's stand around each and are taken off.
 */
#ifndef LABS_COST_COST_H
#define LABS_COST_COST_H

#include "arch/types.h"

/* Two arguments, of which a function may take fewer: it does not look at the other's register (AAPCS64). */
typedef void *(*costed)(void *object, uintptr_t argument);
#define COSTED(function) ((costed)(void (*)(void))(function))

struct cost {
	void *result;
	uint64_t instructions;
};

/*
 * [mem-lab] cost unit=instructions exact=yes|no. False: what is measured from now on is the host's time, and
 * the caller's part of it is not taken off.
 */
bool cost_start(void);

struct cost cost_of(costed function, void *object, uintptr_t argument);

/*
 * [cost] job= instructions= least= ratio_pct=: what the kernel took, the least for the same job, and how many
 * hundredths of that it was, rounded up. least 0: docs/performance.md argues one, from what else is said of
 * the job.
 */
void cost_job(const char *job, uint64_t instructions, uint64_t least);

/* labs/cost/list.S: nothing but ret; and a hundred instructions, ret included. */
void *lab_return(void *object, uintptr_t argument);
void *lab_hundred(void *object, uintptr_t argument);

/* labs/cost/list.S: the least that an intrusive free list takes. A node's first word is the next node. */
void *lab_list_pop(void **head);
void lab_list_push(void **head, void *node);

#endif
