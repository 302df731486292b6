/*
 * Alloc and free of a pool where pool.c does not find all as it should be: they say what is wrong, by its name,
 * or that it is only a block of another kind; and pool_check(), which looks at everything. See pool.h.
 */
#include "mem/pool.h"

#include "arch/sysreg.h"
#include "base/ledger.h"
#include "base/protect.h"
#include "mem/pool_guard.h"
#include "report/inject.h"

bool pool_owns(const struct mem_pool *pool, const void *block)
{
	return pool_address(pool, block) - pool->base < pool->span;
}

const struct mem_pool *pool_find(const void *block)
{
	const struct mem_pool *pool = all_pools;

	while (pool && !pool_owns(pool, block))
		pool = pool->next;
	return pool;
}

/* --- given out, and taken back ------------------------------------------------------------------------ */

static void *refuse(struct mem_pool *pool, uintptr_t caller)
{
	pool->failures++;
	pool->last_failing_caller = caller;
	return NULL;
}

static void *refuse_empty(struct mem_pool *pool, uintptr_t caller)
{
	refuse(pool, caller);
	/* The bug of a pool that trusts its callers: the memory behind the last block is nobody's. */
	if (!protected(PROTECT_POOL_LIMIT))
		return (void *)(pool->base + pool->capacity * pool->stride);
	return NULL;
}

/* A pool without records was never made: its list's head is no head, and leads to itself. */
static bool is_made(const struct mem_pool *pool)
{
	return pool->blocks || !protected(PROTECT_POOL_CHECK);
}

static void *refuse_unmade(struct mem_pool *pool, uintptr_t caller)
{
	pool_note(pool, POOL_NOT_MADE, 0, caller);
	pool_report_finding(pool);
	return refuse(pool, caller);
}

/* A free block, off the list, that somebody wrote into. */
static void *refuse_bad(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	struct pool_block *record = pool_record(pool, block);

	if (record)
		record->state = BLOCK_BAD;
	return refuse(pool, caller);
}

/* always_inline: whom it calls stands in a note about its caller. */
__attribute__((always_inline)) static inline void *give(struct mem_pool *pool, uintptr_t block,
							uintptr_t caller)
{
	struct pool_block *record = pool_record(pool, block);

	if (record) {
		record->state = BLOCK_USED;
		record->allocated_by = caller;
	}
	pool_count_given(pool);
	return pool->mode ? pool->mode->give(pool, block) : (void *)block;
}

void *pool_take_slowly(struct mem_pool *pool, uintptr_t caller)
{
	uintptr_t block, next;
	bool smashed;

	if (!is_made(pool))
		return refuse_unmade(pool, caller);
	if (pool_follow(pool, 0, caller, &block)) {
		pool->free_list = pool_seal(pool, 0, 0);
		return refuse(pool, caller);
	}
	if (!block)
		return refuse_empty(pool, caller);
	smashed = pool_follow(pool, block, caller, &next);
	pool->free_list = pool_seal(pool, 0, smashed ? 0 : next);
	if (smashed || pool_look_at_poison(pool, block, caller))
		return refuse_bad(pool, block, caller);
	return give(pool, block, caller);
}

static enum pool_error misuse(const struct mem_pool *pool, const void *block)
{
	uintptr_t address = pool_address(pool, block);
	const struct pool_block *record = pool_record(pool, address);

	if (!pool_owns(pool, block))
		return pool_find(block) ? POOL_WRONG_POOL : POOL_FOREIGN;
	if ((address - pool->base) % pool->stride)
		return POOL_MISALIGNED;
	return record && record->state == BLOCK_USED ? POOL_OK : POOL_DOUBLE_FREE;
}

static enum pool_error refuse_free(struct mem_pool *pool, const void *block, uintptr_t caller)
{
	enum pool_error error = misuse(pool, block);
	struct pool_finding *f;

	if (!error || !protected(PROTECT_POOL_CHECK))
		return POOL_OK;
	f = pool_note(pool, error, pool_address(pool, block), caller);
	if (error == POOL_WRONG_POOL)
		f->owner = pool_find(block);
	if (error == POOL_MISALIGNED)
		f->offset = (long)((f->address - pool->base) % pool->stride);
	pool_report_finding(pool);
	return error;
}

/* Onto the list, or, where it was written beyond, on none. */
static enum pool_error put_back(struct mem_pool *pool, uintptr_t block, struct pool_block *record,
				uintptr_t caller)
{
	enum pool_error error = record ? pool_look_at_zones(pool, block, caller) : POOL_OK;
	uintptr_t next;

	if (record) {
		record->state = error ? BLOCK_BAD : BLOCK_FREE;
		record->freed_by = caller;
	}
	pool->frees++;
	pool->in_use--;
	if (error)
		return error;
	error = pool_follow(pool, 0, caller, &next);
	pool_poison(pool, block);
	pool_push(pool, block, error ? 0 : next);
	return error;
}

enum pool_error pool_take_back_slowly(struct mem_pool *pool, void *block, uintptr_t caller,
				      const struct inject_site *site)
{
	uintptr_t address = pool_address(pool, block);
	struct pool_block *record = pool_record(pool, address);
	enum pool_error error = POOL_OK;

	if (!record || record->state != BLOCK_USED)
		error = refuse_free(pool, block, caller);
	if (error)
		return error;
	ledger_gave(site, block);
	error = put_back(pool, address, record, caller);
	if (pool->mode)
		pool->mode->withdraw(pool, address);
	return error;
}

/* --- everything at once ------------------------------------------------------------------------------- */

/* Along the links, no further than there are blocks: each leads to a free one, and each free one is there. */
static size_t check_list(struct mem_pool *pool, size_t free, uintptr_t caller)
{
	uintptr_t block = 0;
	size_t listed = 0;

	for (;;) {
		if (pool_follow(pool, block, caller, &block))
			return 1;
		if (!block)
			return free - listed;
		if (++listed > free)
			return 1;
	}
}

size_t pool_check(struct mem_pool *pool)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	size_t wrong = 0, free = 0;
	uint64_t flags;

	if (!pool->blocks)
		return 0;
	flags = irq_save();
	for (size_t i = 0; i < pool->capacity; i++) {
		uintptr_t block = pool_block(pool, i);

		if (pool->blocks[i].state == BLOCK_BAD)
			continue;
		wrong += pool_look_at_zones(pool, block, caller) != POOL_OK;
		if (pool->blocks[i].state != BLOCK_FREE)
			continue;
		free++;
		wrong += pool_look_at_poison(pool, block, caller) != POOL_OK;
	}
	wrong += check_list(pool, free, caller);
	irq_restore(flags);
	return wrong;
}
