/*
 * Injection lab: whatever makes an object is refused at each site in turn, and then the object is used all the
 * same. It must be empty: it gives nothing, takes nothing, and says that it was not made. scenarios/test_inject.py.
 */
#include "base/stack_note.h"
#include "base/string.h"
#include "lab/lab.h"
#include "mem/bump.h"
#include "mem/growspace.h"
#include "mem/heap.h"
#include "mem/pool.h"
#include "mem/space.h"
#include "mem/window.h"
#include "proc/grow.h"
#include "proc/thread.h"
#include "report/inject.h"
#include "report/report.h"

STACK_CALLS("try_maker",
	    "make_* pool_is_empty heap_is_empty stack_is_empty space_is_empty range_is_empty "
	    "thread_is_none",
	    "the two columns of the table of makers")

#define BLOCK 64
#define HEAP_BYTES (1 * KiB)
#define GARBAGE 0xa5
#define NTH_MAX 1000

/* One object of each kind at a time, full of garbage before it is made. */
static union {
	struct mem_pool pool;
	struct heap heap;
	struct stack stack;
	struct space space;
	uintptr_t range;
	struct thread *thread;
} object;

/*
 * make: try it, small as it is, or, with `impossible`, as nobody can have it. Undone is whatever can be.
 * is_empty: use it after that failed.
 */
struct maker {
	const char *name;
	bool (*make)(bool impossible);
	bool (*is_empty)(void);
	enum { SIZED, ONE_SIZE, NEVER /* cannot be made */ } kind;
};

/* --- pools -------------------------------------------------------------------------------------------- */

/* A pool that was made lives for ever, in the list of all: none of it may be overwritten. */
static bool make_pool(bool impossible, const struct pool_mode *mode)
{
	static struct mem_pool made;

	if (impossible)
		return pool_init_mode(&object.pool, "unmade", BLOCK, (size_t)1 << 60, mode);
	if (pool_init_mode(&made, "unmade", BLOCK, 2, mode))
		return true;
	object.pool = made;
	return false;
}

static bool make_unmade_pool(bool impossible)
{
	return make_pool(impossible, NULL);
}

static bool make_unmade_paged(bool impossible)
{
	return make_pool(impossible, &pool_paged);
}

static bool make_empty_pool(__attribute__((unused)) bool impossible)
{
	return pool_init(&object.pool, "unmade", 0, 4);
}

static bool pool_is_empty(void)
{
	struct mem_pool *pool = &object.pool;
	void *block = pool_alloc(pool);

	if (block)
		report("[inject] unmade gave=%s",
		       (uintptr_t)block - (uintptr_t)pool < sizeof(*pool) ? "itself" : "something");
	return !block && pool->last.error == POOL_NOT_MADE &&
	       pool_free(pool, &pool->free_list) == POOL_FOREIGN && !pool_check(pool) &&
	       !pool->in_use && !pool_owns(pool, pool);
}

/* --- heap, stack, addresses --------------------------------------------------------------------------- */

static bool make_heap(bool impossible)
{
	size_t size = impossible ? (size_t)1 << 40 : HEAP_BYTES;

	return heap_init(&object.heap, kmem_alloc_aligned(HEAP_BYTES, HEAP_ALIGN), size);
}

static bool heap_is_empty(void)
{
	struct heap *h = &object.heap;

	return !heap_alloc(h, 0) && strcmp(h->refused.why, "not-made") == 0 &&
	       heap_free(h, h) == HEAP_FOREIGN && heap_check(h) && !heap_census(h).blocks;
}

static bool make_stack(bool impossible)
{
	if (!window_stack_alloc(&object.stack, impossible ? 1024 * MiB : 8 * KiB, PAGE_SIZE))
		return false;
	window_stack_free(&object.stack);
	return true;
}

static bool stack_is_empty(void)
{
	const struct stack *s = &object.stack;

	if (s->base || s->size || s->guard)
		return false;
	window_stack_free(&object.stack);
	return true;
}

static bool make_space(__attribute__((unused)) bool impossible)
{
	if (!space_create(&object.space, 1))
		return false;
	space_destroy(&object.space);
	return true;
}

static bool space_is_empty(void)
{
	struct space *s = &object.space;
	bool empty = !s->root && !space_map_new(s, PAGE_SIZE, SPACE_DATA) &&
		     !space_map_borrowed(s, PAGE_SIZE, &object, SPACE_DATA) &&
		     !space_unmap(s, PAGE_SIZE) && !space_page(s, PAGE_SIZE, false);

	space_destroy(s);
	return empty && !s->pages && !s->tables;
}

static bool make_range(bool impossible)
{
	if (!growspace_take(impossible ? 1UL << 50 : 2 * PAGE_SIZE, &object.range))
		return false;
	growspace_give(object.range);
	return true;
}

static bool range_is_empty(void)
{
	size_t taken = growspace_ranges();

	growspace_give(object.range);
	return !object.range && growspace_ranges() == taken;
}

/* --- threads: an object that is not there ------------------------------------------------------------- */

static void no_work(__attribute__((unused)) void *unused)
{
}

static bool make_thread(bool impossible)
{
	object.thread = thread_create("unmade", no_work, NULL, impossible ? 1024 * MiB : 8 * KiB);
	return object.thread && thread_join(object.thread, NULL) == THREAD_EXITED;
}

static bool make_growing(bool impossible)
{
	struct grow_spec spec = { .kind = GROW_FIXED,
				  .limit = impossible ? 1UL << 50 : 2 * PAGE_SIZE };

	growspace_fill(2);
	object.thread = grow_thread("unmade", no_work, NULL, &spec);
	return object.thread && thread_join(object.thread, NULL) == THREAD_EXITED;
}

static bool thread_is_none(void)
{
	for (const struct thread *t = all_threads; t; t = t->all_next)
		if (strcmp(t->name, "unmade") == 0)
			return false;
	return !object.thread;
}

static const struct maker makers[] = {
	{ "pool", make_unmade_pool, pool_is_empty, SIZED },
	{ "pool-paged", make_unmade_paged, pool_is_empty, SIZED },
	{ "pool-0", make_empty_pool, pool_is_empty, NEVER },
	{ "heap", make_heap, heap_is_empty, SIZED },
	{ "stack", make_stack, stack_is_empty, SIZED },
	{ "space", make_space, space_is_empty, ONE_SIZE },
	{ "range", make_range, range_is_empty, SIZED },
	{ "thread", make_thread, thread_is_none, SIZED },
	{ "growing", make_growing, thread_is_none, SIZED },
};

/* --- the sweep ---------------------------------------------------------------------------------------- */

__attribute__((noinline)) static bool try_maker(const struct maker *m, bool impossible)
{
	bool made;

	memset(&object, GARBAGE, sizeof(object));
	made = m->make(impossible);
	inject_disarm();
	if (!made && !m->is_empty()) {
		report("[inject] unmade maker=%s : what could not be made was used", m->name);
		end("survived");
	}
	return made;
}

static unsigned int refuse_at(const struct maker *m, struct inject_site *site)
{
	for (unsigned int nth = 1; nth < NTH_MAX; nth++) {
		inject_arm(site, &(struct inject_rule){ .nth = nth, .times = 1 });
		if (try_maker(m, false))
			return nth - 1;
	}
	panic("no-end-of-calls");
}

static void refuse_all(const struct maker *m)
{
	unsigned int refused = 0;

	if (m->kind != ONE_SIZE && try_maker(m, true))
		panic("made-what-cannot-be");
	if (m->kind != NEVER)
		for (struct inject_site *s = inject_next(NULL); s; s = inject_next(s))
			refused += refuse_at(m, s);
	report("[inject] unmade maker=%s injected=%u : each time it was empty, and refused",
	       m->name, refused);
}

LAB(inject, unmade, "whatever makes an object fails in turn; the object is used all the same",
    NO_PARAMS)
{
	if (inject_armed())
		end("bad-args why=two-faults : inject.unmade injects its own");
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
		refuse_all(&makers[i]);
	end("caught by=pool-check");
}
