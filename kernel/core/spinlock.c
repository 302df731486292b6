/* See spinlock.h. */
#include "core/spinlock.h"

#include "core/cpu.h"

uint64_t spin_lock(struct spinlock *lock)
{
	uint64_t flags = irq_save();
	uint32_t me = cpu_index() + 1;
	uint32_t free = 0;

	while (!__atomic_compare_exchange_n(&lock->owner, &free, me, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		free = 0;
		cpu_relax();
	}
	return flags;
}

void spin_unlock(struct spinlock *lock, uint64_t flags)
{
	__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
	irq_restore(flags);
}

bool spin_break(struct spinlock *lock)
{
	bool mine = __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == cpu_index() + 1;

	if (mine)
		__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
	return mine;
}
