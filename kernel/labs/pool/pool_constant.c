/* Pool labs: O(1), in instructions. scenarios/test_mem.py is the other half. */
#include "lab/lab.h"
#include "labs/cost/cost.h"
#include "mem/bump.h"
#include "mem/heap.h"
#include "mem/page.h"
#include "mem/pool.h"
#include "report/report.h"

#define BLOCK 32
#define MOST 100000
#define LIST_MOST 1000
/* What a pool may take beside its blocks: marks around each, a byte for each, and room to spare. */
#define MEMORY (MOST * (BLOCK + 96UL))

static void **blocks; /* MOST */
static void *memory;

static void get_memory(void)
{
	blocks = page_alloc_run(ALIGN_UP(MOST * sizeof(void *), PAGE_SIZE) / PAGE_SIZE);
	memory = page_alloc_run(ALIGN_UP(MEMORY, PAGE_SIZE) / PAGE_SIZE);
	if (!blocks || !memory)
		end("bad-args why=no-memory : boot with 64 MiB of RAM or more");
}

/* The least and the most that any of a phase's calls took. */
struct range {
	uint64_t min, max;
};

static void widen(struct range *r, uint64_t cost)
{
	if (!r->max || cost < r->min)
		r->min = cost;
	if (cost > r->max)
		r->max = cost;
}

/* Taken for the first time, given back in that order, taken again. */
struct phases {
	struct range alloc, free, again;
};

static struct range alloc_all(costed alloc, void *object, size_t size, size_t count)
{
	struct range r = { 0, 0 };

	for (size_t i = 0; i < count; i++) {
		struct cost c = cost_of(alloc, object, size);

		if (!c.result)
			panic("early-refusal");
		blocks[i] = c.result;
		widen(&r, c.instructions);
	}
	return r;
}

static struct range free_all(costed give_back, void *object, size_t count)
{
	struct range r = { 0, 0 };

	for (size_t i = 0; i < count; i++)
		widen(&r, cost_of(give_back, object, (uintptr_t)blocks[i]).instructions);
	return r;
}

static struct phases measure_phases(costed alloc, costed give_back, void *object, size_t count)
{
	struct phases p;

	p.alloc = alloc_all(alloc, object, BLOCK, count);
	p.free = free_all(give_back, object, count);
	p.again = alloc_all(alloc, object, BLOCK, count);
	return p;
}

static void report_phases(const char *by, size_t count, const struct phases *p)
{
	report("[mem-lab][constant] by=%s blocks=%lu alloc_min=%lu alloc_max=%lu free_min=%lu free_max=%lu again_min=%lu again_max=%lu",
	       by, count, p->alloc.min, p->alloc.max, p->free.min, p->free.max, p->again.min,
	       p->again.max);
}

/* A list without a pool around it: alloc and free at their least. */
static void measure_list(size_t count)
{
	void *head = NULL;
	char *node = memory;
	struct phases p;

	for (size_t i = 0; i < count; i++)
		lab_list_push(&head, node + i * BLOCK);
	p = measure_phases(COSTED(lab_list_pop), COSTED(lab_list_push), &head, count);
	report_phases("minimum", count, &p);
}

/* A pool lives for ever: each has its own memory. */
static struct phases measure_pool(struct mem_pool *pool, size_t count)
{
	struct phases p;

	if (!pool_init(pool, "constant", BLOCK, count))
		panic("no-pool");
	p = measure_phases(COSTED(pool_alloc), COSTED(pool_free), pool, count);
	report_phases("pool", count, &p);
	return p;
}

/* What grows, so that one sees that it would be seen. */
static void measure_heap(size_t count)
{
	static struct heap heap;
	size_t size = count * (BLOCK + HEAP_HEADER_BYTES);
	struct phases p;

	if (!heap_init(&heap, kmem_alloc_aligned(size, HEAP_ALIGN), size))
		panic("no-heap");
	p = measure_phases(COSTED(heap_alloc), COSTED(heap_free), &heap, count);
	report_phases("first-fit", count, &p);
}

static bool same(const struct range *a, const struct range *b)
{
	return a->min == b->min && a->max == b->max && a->min == a->max;
}

LAB(pool, constant, "alloc and free take the same instructions at 1, 1000 and 100000 blocks",
    NO_PARAMS)
{
	static const size_t counts[] = { 1, LIST_MOST, MOST };
	static struct mem_pool pools[ARRAY_SIZE(counts)];
	struct phases first;
	bool constant = true;
	bool exact;

	get_memory();
	exact = cost_start();
	measure_list(1);
	measure_list(LIST_MOST);
	kmem_move(memory, MEMORY);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct phases p = measure_pool(&pools[i], counts[i]);

		if (!i)
			first = p;
		constant &= same(&p.alloc, &first.alloc) && same(&p.free, &first.free) &&
			    same(&p.again, &first.again);
	}
	measure_heap(1);
	measure_heap(LIST_MOST);
	report("[mem-lab][constant] pool constant=%s", !exact	  ? "unknown"
						       : constant ? "yes"
								  : "no");
	if (exact && !constant)
		panic("cost-not-constant");
}
