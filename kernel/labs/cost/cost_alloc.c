/* Cost labs: allocators, beside the least that the same job takes. scenarios/test_cost.py is the other half. */
#include "base/protect.h"
#include "base/string.h"
#include "lab/lab.h"
#include "labs/cost/cost.h"
#include "labs/cost/least.h"
#include "mem/bump.h"
#include "mem/heap.h"
#include "mem/pool.h"
#include "report/report.h"

LEAST_AT(mem_pool, base, POOL_BASE);
LEAST_AT(mem_pool, inverse, POOL_BASE + 8);
LEAST_AT(mem_pool, shift, POOL_SHIFT);
LEAST_AT(mem_pool, capacity, POOL_CAPACITY);
LEAST_AT(mem_pool, blocks, POOL_CAPACITY + 8);
LEAST_AT(mem_pool, size, POOL_SIZE);
LEAST_AT(mem_pool, block, POOL_SIZE + 8);
LEAST_AT(mem_pool, before, POOL_BEFORE);
LEAST_AT(mem_pool, behind, POOL_BEFORE + 8);
LEAST_AT(mem_pool, in_use, POOL_IN_USE);
LEAST_AT(mem_pool, high_water, POOL_IN_USE + 8);
LEAST_AT(mem_pool, allocs, POOL_ALLOCS);
LEAST_AT(mem_pool, frees, POOL_FREES);
LEAST_AT(mem_pool, free_list, POOL_FREE_LIST);
LEAST_AT(mem_pool, key, POOL_KEY);
LEAST_AT(mem_pool, mode, POOL_MODE);
LEAST_AT(pool_block, allocated_by, BLOCK_ALLOCATED_BY);
LEAST_AT(pool_block, freed_by, BLOCK_FREED_BY);
LEAST_AT(pool_block, state, BLOCK_STATE);
_Static_assert(sizeof(struct pool_block) == BLOCK_RECORD_SIZE, "least.S");
_Static_assert(BLOCK_FREE == STATE_FREE && BLOCK_USED == STATE_USED, "least.S");
LEAST_AT(heap, base, HEAP_BASE);
LEAST_AT(heap, size, HEAP_BASE + 8);
LEAST_AT(heap, allocs, HEAP_ALLOCS);
LEAST_AT(heap, steps, HEAP_STEPS);
LEAST_AT(heap, records, HEAP_RECORDS);
_Static_assert(sizeof(struct heap_record) == 8 && HEAP_ALIGN == 16, "least.S");
_Static_assert(PROTECT_POOL_LINK == OFF_POOL_LINK && PROTECT_POISON == OFF_POISON &&
		       PROTECT_REDZONE == OFF_REDZONE && PROTECT_HEAP_CHECK == OFF_HEAP_CHECK,
	       "least.S");

#define BLOCK 32
#define CAPACITY 8
#define HEAP_BYTES (4 * KiB)

/* What a way to take a block and give it back took, and what it left: of the block, and of the counts. */
struct way {
	uint64_t alloc, free;
	struct pool_block taken, given;
	size_t in_use, high_water, allocs, frees;
};

static struct way measure_way(struct mem_pool *pool, costed alloc, costed give_back)
{
	struct way w = { .allocs = pool->allocs, .frees = pool->frees };
	struct cost c;

	pool->blocks[0].allocated_by = pool->blocks[0].freed_by = 0;
	c = cost_of(alloc, pool, 0);
	if (c.result != (void *)pool->base || pool_check(pool))
		panic("not-the-first-block");
	w.alloc = c.instructions;
	w.taken = pool->blocks[0];
	w.in_use = pool->in_use;
	w.high_water = pool->high_water;
	memset(c.result, 0, BLOCK); /* its owner's: no link and no poison is left over */
	w.free = cost_of(give_back, pool, pool->base).instructions;
	if (pool_check(pool) || pool->in_use)
		panic("not-given-back");
	w.given = pool->blocks[0];
	w.allocs = pool->allocs - w.allocs;
	w.frees = pool->frees - w.frees;
	return w;
}

static bool same_block(const struct pool_block *a, const struct pool_block *b)
{
	return a->state == b->state && a->allocated_by == b->allocated_by &&
	       a->freed_by == b->freed_by;
}

/* Both leave the same, or it is not the same job that is measured. */
static void expect_same(const struct way *a, const struct way *b)
{
	if (!same_block(&a->taken, &b->taken) || !same_block(&a->given, &b->given) ||
	    a->in_use != b->in_use || a->high_water != b->high_water || a->allocs != b->allocs ||
	    a->frees != b->frees)
		panic("least-is-not-the-job");
}

static void measure_pool(void)
{
	static struct mem_pool pool;
	struct way kernels, least;

	if (!pool_init(&pool, "cost", BLOCK, CAPACITY))
		panic("no-pool");
	/* Once before: the first block that is taken is a new high water, and takes longer. */
	measure_way(&pool, COSTED(pool_alloc), COSTED(pool_free));
	kernels = measure_way(&pool, COSTED(pool_alloc), COSTED(pool_free));
	least = measure_way(&pool, COSTED(least_pool_alloc), COSTED(least_pool_free));
	expect_same(&kernels, &least);
	cost_job("pool.alloc", kernels.alloc, least.alloc);
	cost_job("pool.free", kernels.free, least.free);
}

/* The same three blocks from two heaps: the last is what is measured. */
static struct cost measure_heap(struct heap *h, costed alloc, uintptr_t *offset)
{
	struct cost c;

	if (!heap_init(h, kmem_alloc_aligned(HEAP_BYTES, HEAP_ALIGN), HEAP_BYTES))
		panic("no-heap");
	if (!heap_alloc(h, BLOCK))
		panic("early-refusal");
	c = cost_of(alloc, h, BLOCK);
	*offset = (uintptr_t)c.result - h->base;
	if (heap_free(h, c.result) != HEAP_OK)
		panic("least-is-not-the-job");
	return c;
}

static void measure_first_fit(void)
{
	static struct heap heap, least_heap;
	uintptr_t at, least_at;
	struct cost taken = measure_heap(&heap, COSTED(heap_alloc), &at);
	struct cost least = measure_heap(&least_heap, COSTED(least_heap_alloc), &least_at);

	if (at != least_at || heap.steps != least_heap.steps || heap.allocs != least_heap.allocs)
		panic("least-is-not-the-job");
	cost_job("heap.alloc", taken.instructions, least.instructions);
}

LAB(cost, alloc, "pool and first fit, beside the least that the same job takes", NO_PARAMS)
{
	cost_start();
	measure_pool();
	measure_first_fit();
}
