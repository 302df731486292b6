/* What the grow labs share: the thread they grow, its report, and the counting of instructions. */
#ifndef LABS_GROW_GROWER_H
#define LABS_GROW_GROWER_H

#include "base/current.h"
#include "labs/grow/grow_deep.h"
#include "proc/grow.h"

struct grower {
	struct grow_spec spec;
	size_t reserve; /* pages in the reserve before the thread is made */
	bool measured;	/* say what making it took */
	uint64_t setup; /* out: instructions that making it took */
	void (*function)(void *);
	void *argument;
};

/*
 * For victim_run_made(), argument a struct grower: fill the reserve, say so, and make a thread named "grower". Ends the boot with
 * stack-oom when there are not so many pages.
 */
struct thread *grower_make(void *argument);

/* Make it, wait for it; on-fault=kill: two deaths, contained. Comes back if the thread does. */
void grower_run(struct grower *g);

/* [grow] grown … of the current thread, or of one that has not ended. */
void grower_report(const struct growth *g);

/* What copying did: [grow] copied … */
void grower_report_copy(const struct growth *g);

/* [grow] patched …: a check in this function, which is patchable, from now on. */
void grower_patch(const void *function);

/* Instructions that `frames` frames of `deep`, down and up again, take (QEMU, icount shift 0). */
uint64_t grower_count(deep_function *deep, uint64_t frames);

#endif
