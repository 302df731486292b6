/* See pool.h. */
#include "mem/pool.h"

#include "arch/sysreg.h"
#include "core/ledger.h"
#include "core/protect.h"
#include "core/report.h"
#include "mem/page.h"

#define BLOCK_ALIGN 16UL

INJECT_SITE(pool, alloc, pool_alloc, 0, "no block, as if all were in use")

static size_t index_of(const struct mem_pool *pool, const void *block)
{
	return ((uintptr_t)block - pool->base) / pool->block;
}

bool pool_owns(const struct mem_pool *pool, const void *block)
{
	return (uintptr_t)block - pool->base < pool->capacity * pool->block;
}

bool pool_init(struct mem_pool *pool, const char *name, size_t block, size_t capacity)
{
	size_t bytes;

	*pool = (struct mem_pool){ .name = name,
				   .block = ALIGN_UP(block, BLOCK_ALIGN),
				   .capacity = capacity };
	/* Rounded up, a block of no bytes is none, and one of nearly all bytes too. */
	if (!pool->block || __builtin_mul_overflow(pool->block, capacity, &bytes))
		return false;
	pool->base = (uintptr_t)kmem_alloc_aligned(bytes, BLOCK_ALIGN);
	if (!pool->base)
		return false;
	pool->used = kmem_alloc_aligned(capacity, 1);
	if (!pool->used) {
		kmem_give_back((void *)pool->base);
		return false;
	}
	/* Backwards, so that the first block is given out first. */
	for (size_t i = capacity; i-- > 0;) {
		void **link = (void **)(pool->base + i * pool->block);

		*link = pool->free_list;
		pool->free_list = link;
		pool->used[i] = false;
	}
	return true;
}

static void *refuse(struct mem_pool *pool, uintptr_t caller)
{
	pool->failures++;
	pool->last_failing_caller = caller;
	/* The bug of a pool that trusts its callers: the memory behind the last block is nobody's. */
	if (!protected(PROTECT_POOL_LIMIT))
		return (void *)(pool->base + pool->capacity * pool->block);
	return NULL;
}

static void *take(struct mem_pool *pool)
{
	void **block = pool->free_list;

	pool->free_list = *block;
	pool->used[index_of(pool, block)] = true;
	pool->allocs++;
	if (++pool->in_use > pool->high_water)
		pool->high_water = pool->in_use;
	return block;
}

void *pool_alloc(struct mem_pool *pool)
{
	uint64_t flags;
	void *block;

	if (inject(&pool_alloc_site, pool->block))
		return NULL;
	flags = irq_save();
	block = pool->free_list ? take(pool) : refuse(pool, (uintptr_t)__builtin_return_address(0));
	irq_restore(flags);
	ledger_took(&pool_alloc_site, block, pool->block);
	return block;
}

static enum pool_error check(const struct mem_pool *pool, const void *block)
{
	if (!pool_owns(pool, block))
		return POOL_FOREIGN;
	if (((uintptr_t)block - pool->base) % pool->block)
		return POOL_MISALIGNED;
	return pool->used[index_of(pool, block)] ? POOL_OK : POOL_DOUBLE_FREE;
}

enum pool_error pool_free(struct mem_pool *pool, void *block)
{
	uint64_t flags = irq_save();
	enum pool_error error = check(pool, block);

	if (error == POOL_OK) {
		ledger_gave(&pool_alloc_site, block);
		pool->used[index_of(pool, block)] = false;
		*(void **)block = pool->free_list;
		pool->free_list = block;
		pool->frees++;
		pool->in_use--;
	}
	irq_restore(flags);
	return error;
}

void pool_report(const struct mem_pool *pool)
{
	record_begin();
	record_add(
		"[pool] %s block=%lu capacity=%lu in_use=%lu high_water=%lu allocs=%lu frees=%lu failures=%lu",
		pool->name, pool->block, pool->capacity, pool->in_use, pool->high_water,
		pool->allocs, pool->frees, pool->failures);
	if (pool->last_failing_caller)
		record_add(" refused=%pR", (void *)pool->last_failing_caller);
	record_end();
}
