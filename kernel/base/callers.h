/* Who called? From the frame records of the running code, for notes that are taken on the way. */
#ifndef BASE_CALLERS_H
#define BASE_CALLERS_H

#include "arch/types.h"

/*
 * Called by a function that a function F called: the return addresses of F's call, of the call of F's
 * caller, and so on, `count` of them; 0 from where the records leave the current
 * thread's stack, or, in a handler, the CPU's exception stack.
 */
void callers(uintptr_t *found, size_t count);

#endif
