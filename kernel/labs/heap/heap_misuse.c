/* Heap labs: asked for what it has not, and given back what is not its. scenarios/test_heap.py. */
#include "base/string.h"
#include "lab/lab.h"
#include "mem/bump.h"
#include "mem/heap.h"
#include "report/report.h"

#define MAX_CHUNKS 256
#define BLOCK 64

static struct heap heap;

static void make_heap(struct heap *h, void *memory, size_t size)
{
	if (!heap_init(h, memory, size))
		panic("no-memory-for-heap");
}

static void make_early_heap(size_t size)
{
	make_heap(&heap, kmem_alloc_aligned(size, HEAP_ALIGN), size);
}

/* Out of line, so that a refusal names it: whoever frees first, and whoever does it again. */
__attribute__((noinline)) static void first_free(void *memory)
{
	if (heap_free(&heap, memory) != HEAP_OK)
		panic("right-free-refused");
}

__attribute__((noinline)) static void second_free(struct heap *h, void *memory)
{
	enum heap_error error = heap_free(h, memory);

	if (error == HEAP_OK)
		end("survived");
	refusal_report("heap", &h->refused);
	end("caught by=heap-check");
}

static bool is_inside(const void *memory)
{
	return (uintptr_t)memory - heap.base < heap.size;
}

/* noinline: whose chunks they are is told by who asked for them. */
__attribute__((noinline)) static void fill(void **chunks, size_t count, size_t bytes)
{
	for (size_t i = 0; i < count; i++) {
		chunks[i] = heap_alloc(&heap, bytes);
		if (!chunks[i])
			panic("early-refusal");
	}
}

#define EXHAUST_PARAMS(P)                                                                          \
	P(chunks, 16, 1, MAX_CHUNKS, "chunks that there is room for")                              \
	P(chunk, 1008, 16, 4080, "bytes of a chunk, rounded up to 16")

LAB(heap, exhaust, "a heap runs dry, refuses, and recovers", EXHAUST_PARAMS)
{
	static void *chunks[MAX_CHUNKS];
	size_t bytes = ALIGN_UP(a->chunk, (size_t)HEAP_ALIGN);
	struct heap_census c;
	void *more;

	make_early_heap(a->chunks * (bytes + HEAP_HEADER_BYTES));
	fill(chunks, a->chunks, bytes);
	c = heap_census(&heap);
	report("[heap-lab] full blocks=%lu total_free=%lu", c.blocks, c.total_free);
	report("[heap-lab] asking for one more");
	more = heap_alloc(&heap, 1);
	report("[heap-lab] refused=%s failures=%lu steps=%lu", more ? "no" : "yes", heap.failures,
	       heap.steps);
	if (is_inside(more))
		panic("full-heap-gave");
	if (more)
		end("survived");
	first_free(chunks[a->chunks / 2]);
	if (heap_alloc(&heap, bytes) != chunks[a->chunks / 2])
		panic("no-recovery");
	for (size_t i = 0; i < a->chunks; i++)
		first_free(chunks[i]);
	c = heap_census(&heap);
	report("[heap-lab] recovered blocks=%lu largest_free=%lu", c.blocks, c.largest_free);
	if (c.blocks != 1)
		panic("heap-not-whole");
	end("caught by=heap-check");
}

/* What has become of the block when it is freed again. */
enum when { STILL_FREE, JOINED, PART_OF_ANOTHER };

#define DOUBLE_FREE_PARAMS(P)                                                                      \
	P(when, 0, 0, 2,                                                                           \
	  "0: it is free; 1: joined to the one before; 2: inside a larger one in use")

/*
 * What no heap can tell: when the very same block is in use again, its old owner's free is as good as the
 * new one's.
 */
LAB(heap, double_free, "a block is given back twice", DOUBLE_FREE_PARAMS)
{
	void *blocks[3];

	make_early_heap(1 * KiB);
	fill(blocks, ARRAY_SIZE(blocks), BLOCK);
	if (a->when != STILL_FREE)
		first_free(blocks[0]);
	first_free(blocks[1]);
	if (a->when == PART_OF_ANOTHER && heap_alloc(&heap, 2 * BLOCK) != blocks[0])
		panic("other-block");
	report("[heap-lab] freeing it again");
	second_free(&heap, blocks[1]);
}

/* The inner heap's headers are as right as can be, and lie in a block of the outer one. */
LAB(heap, nested_free, "a block of a heap inside a heap's block goes to the wrong one", NO_PARAMS)
{
	static struct heap inner;
	void *block;

	make_early_heap(1 * KiB);
	make_heap(&inner, heap_alloc(&heap, 512), 512);
	if (!heap_alloc(&inner, BLOCK) || !(block = heap_alloc(&inner, BLOCK)) ||
	    !heap_alloc(&inner, BLOCK))
		panic("early-refusal");
	report("[heap-lab] freeing an inner block to the outer heap");
	second_free(&heap, block);
}

#define OVERFLOW_PARAMS(P) P(past, 1, 1, BLOCK, "bytes written behind its block")

/* Seen when one of the two is freed, not before. */
LAB(heap, overflow, "a block is written past its end, over its neighbour's header", OVERFLOW_PARAMS)
{
	void *blocks[3];

	make_early_heap(1 * KiB);
	fill(blocks, ARRAY_SIZE(blocks), BLOCK);
	report("[heap-lab] writing past the end");
	/* One byte of it makes a header of 80 bytes in use out of one of 64: nothing crashes. */
	memset(blocks[0], 0x51, BLOCK + a->past);
	report("[heap-lab] freeing the neighbour");
	second_free(&heap, blocks[1]);
}
