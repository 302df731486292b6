/*
 * Ways down: functions that take a stack, frame by frame, until their frame lies below `floor`, and then
 * come back. Each writes all of its frame, and none shares it with its neighbour.
 */
#ifndef LABS_LIB_RECURSE_H
#define LABS_LIB_RECURSE_H

#include "arch/types.h"

/* Small frames, and frames of a little over 4 KiB, probed by the compiler. */
uint64_t recurse(uintptr_t floor);
uint64_t recurse_pages(uintptr_t floor);

/* Small frames again, called through a pointer, so that no call graph knows. */
uint64_t recurse_through_pointer(uintptr_t floor);

#endif
