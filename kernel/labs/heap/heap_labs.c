/* Heap labs: first fit, and what it does to itself. scenarios/test_heap.py is the other half. */
#include "mem/heap.h"

#include "lab/lab.h"
#include "mem/bump.h"
#include "report/report.h"

#define MAX_CHUNKS 1024

static struct heap heap;

static void make_heap(size_t size)
{
	void *memory = kmem_alloc_aligned(size, HEAP_ALIGN);

	if (!heap_init(&heap, memory, size))
		panic("no-memory-for-heap");
}

struct filled {
	void *chunks[MAX_CHUNKS];
	size_t count, steps, most_steps;
};

/* Take chunks until none is left. */
static void fill(struct filled *f, size_t chunk)
{
	void *p;

	while (f->count < MAX_CHUNKS && (p = heap_alloc(&heap, chunk))) {
		f->chunks[f->count++] = p;
		f->steps += heap.steps;
		if (heap.steps > f->most_steps)
			f->most_steps = heap.steps;
	}
}

/* The memory-lab seed's experiment, with its numbers as defaults. */
#define FRAG_PARAMS(P)                                                                             \
	P(size, 64 * KiB, 4 * KiB, 256 * KiB, "bytes of the heap")                                 \
	P(chunk, 1 * KiB, 256, 4 * KiB, "bytes of a chunk; every other one is freed")              \
	P(ask, 8 * KiB, 16, 256 * KiB, "bytes then asked for in one piece")

/* How large are the pieces? */
static void report_sizes(void)
{
	size_t blocks, size = 0;

	while ((size = heap_next_size(&heap, size, &blocks)))
		report("[mem-lab][malloc] sizes of=%lu free_blocks=%lu", size, blocks);
}

LAB(heap, frag, "enough is free, but nowhere in one piece", FRAG_PARAMS)
{
	static struct filled f;
	struct heap_census c;
	bool got;

	make_heap(ALIGN_DOWN(a->size, (size_t)HEAP_ALIGN));
	fill(&f, a->chunk);
	if (!f.count)
		panic("no-chunk");
	for (size_t i = 0; i < f.count; i += 2)
		heap_free(&heap, f.chunks[i]);
	c = heap_census(&heap);
	if (!c.total_free)
		panic("nothing-free");
	report("[mem-lab][malloc] chunks=%lu steps_avg=%lu steps_max=%lu", f.count,
	       f.steps / f.count, f.most_steps);
	report("[mem-lab][malloc] external_frag_pct=%lu permille=%lu free_blocks=%lu total_free=%lu largest_free=%lu",
	       100 - 100 * c.largest_free / c.total_free -
		       (100 * c.largest_free % c.total_free != 0),
	       1000 - 1000 * c.largest_free / c.total_free -
		       (1000 * c.largest_free % c.total_free != 0),
	       c.free_blocks, c.total_free, c.largest_free);
	report_sizes();
	got = heap_alloc(&heap, a->ask) != NULL;
	if (got)
		report("[mem-lab][malloc] big alloc ok asked=%lu steps=%lu", a->ask, heap.steps);
	else
		report("[mem-lab][malloc] big alloc FAILED (fragmentation) asked=%lu steps=%lu",
		       a->ask, heap.steps);
}

static void give_back_chunk(void *chunk)
{
	if (heap_free(&heap, chunk) != HEAP_OK)
		panic("chunk-refused");
}

#define CHUNK_PARAM(P) P(chunk, 1 * KiB, 256, 4 * KiB, "bytes of a chunk")

/* Freed in the least convenient order, a heap must be one block again. */
LAB(heap, coalesce, "everything freed is one block again", CHUNK_PARAM)
{
	static struct filled f;
	struct heap_census c;

	make_heap(64 * KiB);
	fill(&f, a->chunk);
	for (size_t i = 0; i < f.count; i += 2)
		give_back_chunk(f.chunks[i]);
	c = heap_census(&heap);
	report("[heap-lab] half freed chunks=%lu blocks=%lu free_blocks=%lu", f.count, c.blocks,
	       c.free_blocks);
	for (size_t i = 1; i < f.count; i += 2)
		give_back_chunk(f.chunks[i]);
	c = heap_census(&heap);
	report("[heap-lab] all freed blocks=%lu free_blocks=%lu largest_free=%lu", c.blocks,
	       c.free_blocks, c.largest_free);
	if (c.blocks != 1 || c.largest_free != 64 * KiB - HEAP_HEADER_BYTES)
		panic("heap-not-whole");
}

/*
 * Sizes whose rounding, or whose sum with an address, would wrap. alignment 0: asked of the heap,
 * else of bump memory.
 */
static const struct {
	size_t size, alignment;
} huge[] = {
	{ SIZE_MAX, 0 },  { SIZE_MAX - 15, 0 }, { SIZE_MAX - 16, 0 },	   { SIZE_MAX / 2, 0 },
	{ 1UL << 63, 0 }, { SIZE_MAX, 16 },	{ SIZE_MAX - 4096, 4096 },
};

static bool is_refused(size_t size, size_t alignment)
{
	void *got = alignment ? kmem_alloc_aligned(size, alignment) : heap_alloc(&heap, size);

	report("[heap-lab] huge size=0x%lx alignment=%lu refused=%s", size, alignment,
	       got ? "no" : "yes");
	return !got;
}

LAB(heap, wrap, "sizes near the top of the range are refused", NO_PARAMS)
{
	unsigned int refused = 0;

	make_heap(4 * KiB);
	for (size_t i = 0; i < ARRAY_SIZE(huge); i++)
		refused += is_refused(huge[i].size, huge[i].alignment);
	report("[heap-lab] huge asked=%lu refused=%u blocks=%lu", ARRAY_SIZE(huge), refused,
	       heap_census(&heap).blocks);
	if (refused != ARRAY_SIZE(huge))
		end("survived");
}
