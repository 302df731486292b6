/* See heap.h. Pure arithmetic over its own range: it compiles for the host as well. */
#include "mem/heap.h"

#include "core/ledger.h"

INJECT_SITE(heap, alloc, heap_alloc, 0, "no free block is large enough")

/* Before each block's memory. Sizes are bytes behind the header, multiples of HEAP_ALIGN. */
struct header {
	size_t size_and_used; /* bit 0: used */
	size_t previous;      /* size of the block before this one; for the first, FIRST */
};
_Static_assert(sizeof(struct header) == HEAP_HEADER_BYTES, "heap.h");

#define USED 1UL
#define FIRST 1UL /* no size is odd */

static size_t size_of(const struct header *b)
{
	return b->size_and_used & ~USED;
}

static bool is_used(const struct header *b)
{
	return b->size_and_used & USED;
}

static struct header *first(const struct heap *h)
{
	return (struct header *)h->base;
}

/* The block behind b, NULL behind the last. */
static struct header *next(const struct heap *h, const struct header *b)
{
	uintptr_t address = (uintptr_t)b + HEAP_HEADER_BYTES + size_of(b);

	return address < h->base + h->size ? (struct header *)address : NULL;
}

static struct header *previous(const struct header *b)
{
	return b->previous == FIRST
		       ? NULL
		       : (struct header *)((uintptr_t)b - b->previous - HEAP_HEADER_BYTES);
}

static void set_size(const struct heap *h, struct header *b, size_t size, size_t used)
{
	struct header *behind;

	b->size_and_used = size | used;
	behind = next(h, b);
	if (behind)
		behind->previous = size;
}

void heap_init(struct heap *h, void *memory, size_t size)
{
	*h = (struct heap){ .base = (uintptr_t)memory, .size = size };
	first(h)->previous = FIRST;
	set_size(h, first(h), size - HEAP_HEADER_BYTES, 0);
}

static struct header *search(struct heap *h, size_t size)
{
	h->steps = 0;
	for (struct header *b = first(h); b; b = next(h, b)) {
		h->steps++;
		if (!is_used(b) && size_of(b) >= size)
			return b;
	}
	return NULL;
}

/* Keep the first `size` bytes; what is behind becomes a block if it can hold anything. */
static void split(const struct heap *h, struct header *b, size_t size)
{
	size_t rest = size_of(b) - size;
	struct header *behind;

	if (rest < HEAP_HEADER_BYTES + HEAP_ALIGN) {
		set_size(h, b, size_of(b), USED);
		return;
	}
	behind = (struct header *)((uintptr_t)b + HEAP_HEADER_BYTES + size);
	b->size_and_used = size | USED;
	behind->previous = size;
	set_size(h, behind, rest - HEAP_HEADER_BYTES, 0);
}

void *heap_alloc(struct heap *h, size_t size)
{
	struct header *b = NULL;

	if (inject(&heap_alloc_site, size))
		return NULL;
	/* A size near the top of the range must not wrap when it is rounded up. */
	if (size <= h->size)
		b = search(h, size ? ALIGN_UP(size, (size_t)HEAP_ALIGN) : HEAP_ALIGN);
	if (!b) {
		h->failures++;
		return NULL;
	}
	split(h, b, size ? ALIGN_UP(size, (size_t)HEAP_ALIGN) : HEAP_ALIGN);
	h->allocs++;
	ledger_took(&heap_alloc_site, b + 1, size);
	return b + 1;
}

static void join(const struct heap *h, struct header *b, const struct header *behind)
{
	set_size(h, b, size_of(b) + HEAP_HEADER_BYTES + size_of(behind), 0);
}

/* Do the neighbours agree that there is a block at b? Nobody else's pointer passes, but by a miracle. */
static bool is_block(const struct heap *h, const struct header *b)
{
	size_t left = h->base + h->size - (uintptr_t)b - HEAP_HEADER_BYTES;
	const struct header *before, *behind;

	if (size_of(b) > left || size_of(b) % HEAP_ALIGN)
		return false;
	if (b->previous != FIRST &&
	    (b->previous > (uintptr_t)b - h->base - HEAP_HEADER_BYTES || b->previous % HEAP_ALIGN))
		return false;
	before = previous(b);
	behind = next(h, b);
	return (before ? size_of(before) == b->previous : b == first(h)) &&
	       (!behind || behind->previous == size_of(b));
}

static enum heap_error check(const struct heap *h, const void *memory)
{
	uintptr_t offset = (uintptr_t)memory - h->base;
	const struct header *b;

	if (offset < HEAP_HEADER_BYTES || offset >= h->size || offset % HEAP_ALIGN)
		return HEAP_FOREIGN;
	b = (const struct header *)memory - 1;
	if (!is_block(h, b))
		return HEAP_CORRUPT;
	return is_used(b) ? HEAP_OK : HEAP_DOUBLE_FREE;
}

enum heap_error heap_free(struct heap *h, void *memory)
{
	enum heap_error error = check(h, memory);
	struct header *b, *before, *behind;

	if (error != HEAP_OK)
		return error;
	b = (struct header *)memory - 1;
	set_size(h, b, size_of(b), 0);
	before = previous(b);
	behind = next(h, b);
	if (behind && !is_used(behind))
		join(h, b, behind);
	if (before && !is_used(before))
		join(h, before, b);
	h->frees++;
	ledger_gave(&heap_alloc_site, memory);
	return HEAP_OK;
}

struct heap_census heap_census(const struct heap *h)
{
	struct heap_census c = { .blocks = 0 };

	for (const struct header *b = first(h); b; b = next(h, b)) {
		c.blocks++;
		if (is_used(b))
			continue;
		c.free_blocks++;
		c.total_free += size_of(b);
		if (size_of(b) > c.largest_free)
			c.largest_free = size_of(b);
	}
	return c;
}
