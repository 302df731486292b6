/* See spinlock.h. */
#include "base/spinlock.h"

#include "base/cpu.h"

static uint32_t held[NR_CPUS];

uint64_t spin_lock(struct spinlock *lock)
{
	uint64_t flags = irq_save();
	uint32_t me = cpu_index() + 1;
	uint32_t free = 0;

	while (!__atomic_compare_exchange_n(&lock->owner, &free, me, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		if (lock->off && *lock->off)
			break;
		free = 0;
		cpu_relax();
	}
	held[me - 1]++;
	return flags;
}

void spin_unlock(struct spinlock *lock, uint64_t flags)
{
	held[cpu_index()]--;
	__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
	irq_restore(flags);
}

unsigned int spin_held(void)
{
	return held[cpu_index()];
}

bool spin_break(struct spinlock *lock)
{
	bool mine = __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == cpu_index() + 1;

	if (mine) {
		held[cpu_index()]--;
		__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
	}
	return mine;
}
