/*
 * One recursive function, compiled at each level of optimisation: descend_O0.c to descend_Os.c, whose
 * levels build.mk has, as not every compiler knows levels of single functions.
 */
#ifndef LABS_STACK_DESCEND_H
#define LABS_STACK_DESCEND_H

#include "arch/sysreg.h"
#include "arch/types.h"
#include "labs/lib/array.h"

/* With a canary and the record that fills a frame: no padding below it that nobody writes. */
#define FRAME_WORDS 9

/* Of the deepest call. */
struct descent {
	uintptr_t lowest;
	size_t frame; /* bytes */
};
extern struct descent descent;

uint64_t descend(uint64_t calls, uintptr_t caller);
uint64_t descend_O0(uint64_t calls, uintptr_t caller);
uint64_t descend_O1(uint64_t calls, uintptr_t caller);
uint64_t descend_O2(uint64_t calls, uintptr_t caller);
uint64_t descend_O3(uint64_t calls, uintptr_t caller);
uint64_t descend_Os(uint64_t calls, uintptr_t caller);

/* No call in it, not even at -O0: a callee's frame would be lower still. */
#define NOTE_FRAME(here, caller)                                                                   \
	do {                                                                                       \
		descent.lowest = (here);                                                           \
		descent.frame = (caller) - (here);                                                 \
	} while (0)

/*
 * Each level writes all of its frame, with what x29 holds: so it has to keep x29, and one that was
 * changed on the stack is noticed (scenarios/test_flips.py).
 */
#define DESCEND(name)                                                                              \
	__attribute__((noinline)) uint64_t name(uint64_t calls, uintptr_t caller)                  \
	{                                                                                          \
		volatile uint64_t fill[FRAME_WORDS];                                               \
		uintptr_t here = stack_pointer;                                                    \
                                                                                                   \
		keep_array(fill);                                                                  \
		for (int i = 0; i < FRAME_WORDS; i++)                                              \
			fill[i] = (uintptr_t)__builtin_frame_address(0);                           \
		if (calls == 1)                                                                    \
			NOTE_FRAME(here, caller);                                                  \
		return calls > 1 ? name(calls - 1, here) + fill[0] : fill[FRAME_WORDS - 1];        \
	}

#endif
