/* Memory labs: the same traces through three allocators. scenarios/test_mem.py is the other half. */
#include "base/stack_note.h"
#include "base/string.h"
#include "lab/lab.h"
#include "labs/cost/cost.h"
#include "labs/lib/leak.h"
#include "labs/mem/trace.h"
#include "mem/bump.h"
#include "mem/heap.h"
#include "mem/page.h"
#include "mem/pool.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_SIZE("thread:churn", PAGE_SIZE, "at least")
STACK_CALLS("lab_mem_traces", "open_*", "struct allocator")

#define ARENA (128 * KiB)
#define BESIDE                                                                                     \
	(64 * KiB) /* what an allocator keeps beside the memory it hands out, and marks in it */

static void *memory; /* ARENA + BESIDE, the early heap of whoever plays; each has its own */

/* --- the allocators: each as cost_of() calls it -------------------------------------------------- */

static struct mem_pool pools[TRACES], *pool = pools;
static struct heap heap;
static struct bump bump;
static size_t largest;

/* A pool lives for ever: there is one for each trace. */
static void *open_pool(void)
{
	if (!pool_init(pool, "traces", largest, ARENA / ALIGN_UP(largest, 16UL)))
		panic("no-pool");
	return pool++;
}

static void *open_heap(void)
{
	if (!heap_init(&heap, kmem_alloc_aligned(ARENA, HEAP_ALIGN), ARENA))
		panic("no-heap");
	return &heap;
}

static void *open_bump(void)
{
	bump = (struct bump){ (uintptr_t)memory, (uintptr_t)memory + ARENA };
	return &bump;
}

/* bump_alloc() takes three arguments. */
static void *take_bump(void *b, uintptr_t size)
{
	return bump_alloc(b, size, 16);
}

static const struct allocator {
	const char *name;
	void *(*open)(void); /* what alloc and free take as their object */
	costed alloc, free;  /* free NULL: there is none */
} allocators[] = {
	{ "pool", open_pool, COSTED(pool_alloc), COSTED(pool_free) },
	{ "first-fit", open_heap, COSTED(heap_alloc), COSTED(heap_free) },
	{ "bump", open_bump, take_bump, NULL },
};

/* --- what is measured ------------------------------------------------------------------------------ */

/* Costs in rising order. */
struct costs {
	uint64_t sorted[TRACE_EVENTS];
	size_t count;
};

static void add_cost(struct costs *c, uint64_t cost)
{
	size_t i = c->count++;

	for (; i && c->sorted[i - 1] > cost; i--)
		c->sorted[i] = c->sorted[i - 1];
	c->sorted[i] = cost;
}

/* The smallest that at least 99 in 100 do not exceed. */
static uint64_t p99(const struct costs *c)
{
	return c->count ? c->sorted[(99 * c->count + 99) / 100 - 1] : 0;
}

static uint64_t worst(const struct costs *c)
{
	return c->count ? c->sorted[c->count - 1] : 0;
}

struct outcome {
	void *object;
	void *at[TRACE_SLOTS];
	size_t size[TRACE_SLOTS];
	size_t asked, failures;
	size_t live, most_live; /* bytes asked for and served */
	uintptr_t low, high;	/* of all that was ever served */
	struct costs alloc, free;
};
static struct outcome outcome;

static void note_served(struct outcome *o, size_t slot, uintptr_t at, size_t size)
{
	o->at[slot] = (void *)at;
	o->size[slot] = size;
	o->live += size;
	if (o->live > o->most_live)
		o->most_live = o->live;
	if (!o->low || at < o->low)
		o->low = at;
	if (at + size > o->high)
		o->high = at + size;
}

static void play_alloc(struct outcome *o, const struct allocator *by, size_t slot, size_t size)
{
	struct cost c = cost_of(by->alloc, o->object, size);

	add_cost(&o->alloc, c.instructions);
	o->asked++;
	if (c.result)
		note_served(o, slot, (uintptr_t)c.result, size);
	else
		o->failures++;
}

static void play_free(struct outcome *o, const struct allocator *by, size_t slot)
{
	if (!o->at[slot])
		return;
	if (by->free)
		add_cost(&o->free,
			 cost_of(by->free, o->object, (uintptr_t)o->at[slot]).instructions);
	o->live -= o->size[slot];
	o->at[slot] = NULL;
}

static void play(const struct trace *t, const struct allocator *by)
{
	struct outcome *o = &outcome;

	memset(o, 0, sizeof(*o));
	memory = page_alloc_run((ARENA + BESIDE) / PAGE_SIZE);
	if (!memory)
		panic("no-memory");
	kmem_move(memory, ARENA + BESIDE);
	o->object = by->open();
	for (size_t i = 0; i < t->count; i++) {
		const struct trace_event *e = &t->events[i];

		if (e->size)
			play_alloc(o, by, e->slot, e->size);
		else
			play_free(o, by, e->slot);
	}
	report("[mem-lab][trace] by=%s trace=%s asked=%lu failed=%lu live=%lu span=%lu wasted=%lu alloc_p99=%lu alloc_worst=%lu free_p99=%lu free_worst=%lu",
	       by->name, t->name, o->asked, o->failures, o->most_live, o->high - o->low,
	       o->high - o->low - o->most_live, p99(&o->alloc), worst(&o->alloc), p99(&o->free),
	       worst(&o->free));
}

static void report_trace(const struct trace *t)
{
	size_t frees = 0;

	largest = 0;
	for (size_t i = 0; i < t->count; i++) {
		frees += !t->events[i].size;
		if (t->events[i].size > largest)
			largest = t->events[i].size;
	}
	report("[mem-lab][trace] name=%s events=%lu frees=%lu largest=%lu", t->name, t->count,
	       frees, largest);
}

LAB(mem, traces, "the same allocation traces through pool, first fit and bump", NO_PARAMS)
{
	cost_start();
	traces_make();
	report("[mem-lab][trace] arena=%lu", ARENA);
	for (size_t t = 0; t < TRACES; t++) {
		report_trace(&traces[t]);
		for (size_t i = 0; i < ARRAY_SIZE(allocators); i++)
			play(&traces[t], &allocators[i]);
	}
}

/* --- what harness/dev/traces.py records -------------------------------------------------------------- */

#define CHURN_LIVE 8

static void ends_at_once(__attribute__((unused)) void *unused)
{
}

#define CHURN_PARAMS(P) P(threads, 56, 1, 1000, "threads made, 8 at most at a time")

LAB(mem, churn, "threads of any stack size are made and joined in any order", CHURN_PARAMS)
{
	struct thread *live[CHURN_LIVE] = { NULL };
	size_t pages = page_count().in_use, objects = thread_pool.in_use;
	uint32_t random = 0x12345678;

	for (uint64_t i = 0; i < a->threads; i++) {
		struct thread **t;

		random = random * 1664525 + 1013904223;
		t = &live[(random >> 8) % CHURN_LIVE];
		if (*t)
			thread_join(*t, NULL);
		*t = thread_create("churn", ends_at_once, NULL,
				   PAGE_SIZE * (1 + (random >> 16) % 4));
		if (!*t)
			panic("no-thread");
	}
	for (size_t i = 0; i < CHURN_LIVE; i++)
		if (live[i])
			thread_join(live[i], NULL);
	report("[mem-lab] churned pages=%s threads=%s",
	       page_count().in_use == pages ? "back" : "lost",
	       thread_pool.in_use == objects ? "back" : "lost");
	leak_check(page_count().in_use != pages, "pages");
	leak_check(thread_pool.in_use != objects, "threads");
}
