/* A lock that is held with interrupts masked, and knows its owner so that a fault report can break it. */
#ifndef BASE_SPINLOCK_H
#define BASE_SPINLOCK_H

#include "arch/sysreg.h"
#include "arch/types.h"
#include "base/protect.h"

/* A lock that protect=-NAME opens. What it costs is paid by who has to wait. */
#define SPINLOCK_SWITCHED(protection)                                                              \
	{                                                                                          \
		.off = &protect_off[protection]                                                    \
	}

struct spinlock {
	uint32_t owner; /* CPU index + 1, 0: free */
	const bool *off; /* *off: whoever finds it taken goes on all the same; NULL: no such switch */
};

/* Returns what spin_unlock() needs to restore. */
uint64_t spin_lock(struct spinlock *lock);

/* How many locks this CPU holds. */
unsigned int spin_held(void);
void spin_unlock(struct spinlock *lock, uint64_t flags);

/*
 * If this CPU holds the lock, it never will let go: it is here because it faulted. Take it away.
 * True if it did hold it.
 */
bool spin_break(struct spinlock *lock);

#endif
