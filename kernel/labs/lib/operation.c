/* The operations that inject.sweep sweeps, and the count of all that they could leave behind. */
#include "labs/lib/operation.h"

#include "arch/mte.h"
#include "base/stack_note.h"
#include "labs/lib/leak.h"
#include "mem/bump.h"
#include "mem/growspace.h"
#include "mem/heap.h"
#include "mem/page.h"
#include "mem/pool_window.h"
#include "mem/window.h"
#include "proc/process.h"
#include "proc/smp.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_SIZE("swept", 8 * KiB, "made and given back, and run on by nobody; 16 KiB in op=stack")

#define BLOCK 64
#define HEAP (4 * KiB)

extern const struct operation *const __operations_start[];
extern const struct operation *const __operations_end[];

static struct mem_pool pool;
static struct heap heap;

const char *operation_killed_by;

const struct operation *operation_at(size_t n)
{
	return n < (size_t)(__operations_end - __operations_start) ? __operations_start[n] : NULL;
}

void operations_prepare(void)
{
	void *memory = kmem_alloc_aligned(HEAP, HEAP_ALIGN);

	if (!pool_init(&pool, "swept", BLOCK, 4) || !heap_init(&heap, memory, HEAP))
		panic("no-memory-for-operations");
}

const char *const census_names[NR_CENSUS] = {
	[CENSUS_PAGES] = "pages",   [CENSUS_BLOCKS] = "blocks",	    [CENSUS_CHUNKS] = "chunks",
	[CENSUS_WINDOW] = "window", [CENSUS_STACKS] = "stacks",	    [CENSUS_THREADS] = "threads",
	[CENSUS_EARLY] = "early",   [CENSUS_POOLS] = "pool-window", [CENSUS_RANGES] = "ranges",
};

static size_t count_stacks(void)
{
	size_t n = 0;

	for (const struct stack *s = stack_next(NULL); s; s = stack_next(s))
		n++;
	return n;
}

static size_t count_threads(void)
{
	size_t n = 0;

	for (const struct thread *t = all_threads; t; t = t->all_next)
		n++;
	return n;
}

struct census take_census(void)
{
	return (struct census){ {
		[CENSUS_PAGES] = page_count().in_use,
		[CENSUS_BLOCKS] = thread_pool.in_use + pool.in_use,
		[CENSUS_CHUNKS] = heap.allocs - heap.frees,
		[CENSUS_WINDOW] = window_in_use(),
		[CENSUS_STACKS] = count_stacks(),
		[CENSUS_THREADS] = count_threads(),
		[CENSUS_EARLY] = kmem_used(),
		[CENSUS_POOLS] = pool_window_in_use(),
		[CENSUS_RANGES] = growspace_ranges(),
	} };
}

void census_expect(const struct census *before)
{
	struct census now = take_census();

	for (int i = 0; i < NR_CENSUS; i++)
		leak_check(now.counts[i] != before->counts[i], census_names[i]);
}

OPERATION(block, "a block is taken from a pool and given back")
{
	void *block = pool_alloc(&pool);

	return block && pool_free(&pool, block) == POOL_OK;
}

OPERATION(chunk, "two chunks are taken from a heap and given back")
{
	void *first = heap_alloc(&heap, 100);
	void *second;

	if (!first)
		return false;
	second = heap_alloc(&heap, 1000);
	heap_free(&heap, first);
	return second && heap_free(&heap, second) == HEAP_OK;
}

OPERATION(page, "a page is taken and given back")
{
	void *page = page_alloc();

	return page && page_free(page);
}

MAKING_OPERATION(run, "two pages in a row are taken")
{
	return page_alloc_run(2);
}

MAKING_OPERATION(pool, "a pool is made")
{
	static struct mem_pool made;

	return pool_init(&made, "made", BLOCK, 16);
}

MAKING_OPERATION(paged, "a pool is made whose blocks have pages of their own")
{
	static struct mem_pool made;

	return pool_init_mode(&made, "paged", BLOCK, 3, &pool_paged);
}

/* On a machine that keeps no tags there is nothing to make. */
MAKING_OPERATION(tagged, "a pool is made whose memory has tags")
{
	static struct mem_pool made;

	return !mte_present() || pool_init_mode(&made, "tagged", 2 * PAGE_SIZE, 2, &pool_tagged);
}

OPERATION(stack, "a stack of 16 KiB is made and given back")
{
	struct stack s = { .name = "swept" };

	if (!window_stack_alloc(&s, 16 * KiB, PAGE_SIZE))
		return false;
	window_stack_free(&s);
	return true;
}

OPERATION(guarded, "a stack of 8 KiB with guards of 16 KiB is made and given back")
{
	struct stack s = { .name = "swept" };

	if (!window_stack_alloc(&s, 8 * KiB, 16 * KiB))
		return false;
	window_stack_free(&s);
	return true;
}

/* A space that still has pages then is not destroyed: that would hide what process_map() forgot. */
OPERATION(region, "a process maps three pages, and unmaps them")
{
	static struct process p;
	static struct region rows[2];
	int64_t base;

	process_prepare(&p, 1, "swept", rows, ARRAY_SIZE(rows));
	p.regions.rows = rows;
	if (!space_create(&p.space, p.pid))
		return false;
	base = process_map(&p, 3 * PAGE_SIZE);
	if (base > 0)
		process_unmap(&p, (uintptr_t)base);
	if (!p.space.pages)
		space_destroy(&p.space);
	return base > 0;
}

static void nothing(__attribute__((unused)) void *unused)
{
}

OPERATION(thread, "a thread is made, runs, ends and is waited for")
{
	struct thread *t = thread_create("swept", nothing, NULL, 8 * KiB);

	return t && thread_join(t, NULL) == THREAD_EXITED;
}

/* On a machine with one CPU there is nothing to start. */
OPERATION(cpu, "another CPU is started, runs a thread, and is off again")
{
	struct thread *t;

	if (smp_cpus < 2)
		return true;
	t = smp_start(1, nothing, NULL);
	return t && smp_join(t, NULL) == THREAD_EXITED;
}

/* The classic: when the second allocation fails, the first is forgotten. */
PLANTED_OPERATION(leaky, "forgets its first block when the second is refused")
{
	void *first = pool_alloc(&pool);
	void *second;

	if (!first)
		return false;
	second = heap_alloc(&heap, 100);
	if (!second)
		return false;
	heap_free(&heap, second);
	pool_free(&pool, first);
	return true;
}
