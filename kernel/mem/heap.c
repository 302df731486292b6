/*
 * See heap.h. Arithmetic over its own range: it compiles for the host as well.
 *
 * Headers cannot tell by themselves what is a block: old ones stay in free memory, and whoever keeps a
 * heap in a block of another has right ones there. So one bit for each place says where blocks begin.
 */
#include "mem/heap.h"

#include "core/ledger.h"
#include "core/protect.h"
#include "mem/bump.h"

INJECT_SITE(heap, alloc, heap_alloc, 0, "no free block is large enough")

/* Before each block's memory. Sizes are bytes behind the header, multiples of HEAP_ALIGN. */
struct header {
	size_t size_and_used; /* bit 0: used */
	size_t previous;      /* size of the block before this one; for the first, FIRST */
};
_Static_assert(sizeof(struct header) == HEAP_HEADER_BYTES, "heap.h");

#define USED 1UL
#define FIRST 1UL /* no size is odd */

/* In the first bytes of a block's memory, from when it is freed until somebody writes there again. */
struct tombstone {
	uintptr_t mark; /* MARK ^ its own address: a copy of it is none */
	uintptr_t freed_by;
};
_Static_assert(sizeof(struct tombstone) <= HEAP_ALIGN, "the smallest block holds one");

#define MARK 0xdeadb10cdeadb10cUL

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

static void set_size(struct heap *h, struct header *b, size_t size, size_t used)
{
	struct header *behind;

	b->size_and_used = size | used;
	behind = next(h, b);
	if (behind)
		behind->previous = size;
	else
		h->last = size;
}

static size_t place(const struct heap *h, const struct header *b)
{
	return ((uintptr_t)b - h->base) / HEAP_ALIGN;
}

static bool begins(const struct heap *h, size_t at)
{
	return h->starts[at / 64] >> at % 64 & 1;
}

static void set_begins(const struct heap *h, size_t at)
{
	h->starts[at / 64] |= 1UL << at % 64;
}

static void clear_begins(const struct heap *h, size_t at)
{
	h->starts[at / 64] &= ~(1UL << at % 64);
}

bool heap_init(struct heap *h, void *memory, size_t size)
{
	size_t words = (size / HEAP_ALIGN + 63) / 64;

	*h = (struct heap){ .base = (uintptr_t)memory, .size = size };
	if (memory)
		h->starts = kmem_alloc_aligned(words * sizeof(*h->starts), sizeof(*h->starts));
	if (!h->starts)
		return false;
	for (size_t i = 0; i < words; i++)
		h->starts[i] = 0;
	first(h)->previous = FIRST;
	set_size(h, first(h), size - HEAP_HEADER_BYTES, 0);
	set_begins(h, 0);
	return true;
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
static void split(struct heap *h, struct header *b, size_t size)
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
	set_begins(h, place(h, behind));
}

/* The bug of a heap that trusts its callers: the memory behind its end is nobody's. */
static void *no_room(struct heap *h)
{
	h->failures++;
	return protected(PROTECT_HEAP_CHECK) ? NULL : (void *)(h->base + h->size);
}

void *heap_alloc(struct heap *h, size_t size)
{
	struct header *b = NULL;

	if (inject(&heap_alloc_site, size))
		return NULL;
	/* A size near the top of the range must not wrap when it is rounded up. */
	if (size <= h->size)
		b = search(h, size ? ALIGN_UP(size, (size_t)HEAP_ALIGN) : HEAP_ALIGN);
	if (!b)
		return no_room(h);
	split(h, b, size ? ALIGN_UP(size, (size_t)HEAP_ALIGN) : HEAP_ALIGN);
	h->allocs++;
	ledger_took(&heap_alloc_site, b + 1, size);
	return b + 1;
}

static void join(struct heap *h, struct header *b, const struct header *behind)
{
	set_size(h, b, size_of(b) + HEAP_HEADER_BYTES + size_of(behind), 0);
	clear_begins(h, place(h, behind));
}

/* Where a wrong size leads, an old header may well agree: only a true one counts. */
static bool is_start(const struct heap *h, const struct header *b)
{
	return begins(h, place(h, b));
}

/* Do the neighbours agree with the header at b? Not if somebody wrote over one of the three. */
static bool is_whole(const struct heap *h, const struct header *b)
{
	size_t offset = (uintptr_t)b - h->base;
	size_t left = h->size - offset - HEAP_HEADER_BYTES;
	const struct header *before, *behind;

	if (size_of(b) > left || size_of(b) % HEAP_ALIGN)
		return false;
	/* Both are multiples of 16: less is less by a header at least. */
	if (b->previous != FIRST && (b->previous >= offset || b->previous % HEAP_ALIGN))
		return false;
	before = previous(b);
	behind = next(h, b);
	return (before ? is_start(h, before) && size_of(before) == b->previous : b == first(h)) &&
	       (behind ? is_start(h, behind) && behind->previous == size_of(b)
		       : h->last == size_of(b));
}

static bool has_tombstone(const void *memory)
{
	return ((const struct tombstone *)memory)->mark == (MARK ^ (uintptr_t)memory);
}

/* No block begins here: is the one around it free, or was there one that has been freed? */
static enum heap_error check_inside(const struct heap *h, const struct header *b)
{
	size_t at = place(h, b);

	if (has_tombstone(b + 1))
		return HEAP_DOUBLE_FREE;
	while (!begins(h, at))
		at--;
	return is_used(first(h) + at) ? HEAP_INSIDE : HEAP_DOUBLE_FREE;
}

static enum heap_error check(const struct heap *h, const void *memory)
{
	uintptr_t offset = (uintptr_t)memory - h->base;
	const struct header *b;

	if (offset < HEAP_HEADER_BYTES || offset >= h->size || offset % HEAP_ALIGN)
		return HEAP_FOREIGN;
	b = (const struct header *)memory - 1;
	if (!protected(PROTECT_HEAP_CHECK))
		return HEAP_OK;
	if (!is_start(h, b))
		return check_inside(h, b);
	if (!is_whole(h, b))
		return HEAP_CORRUPT;
	return is_used(b) ? HEAP_OK : HEAP_DOUBLE_FREE;
}

static void refuse(struct heap *h, enum heap_error error, const void *memory, uintptr_t caller)
{
	static const char *const names[] = {
		[HEAP_FOREIGN] = "foreign",
		[HEAP_INSIDE] = "inside",
		[HEAP_DOUBLE_FREE] = "double-free",
		[HEAP_CORRUPT] = "corrupt",
	};
	bool known = error == HEAP_DOUBLE_FREE && has_tombstone(memory);

	h->refused = (struct refusal){ names[error], caller,
				       known ? ((const struct tombstone *)memory)->freed_by : 0 };
}

enum heap_error heap_free(struct heap *h, void *memory)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	enum heap_error error = check(h, memory);
	struct header *b, *before, *behind;

	if (error != HEAP_OK) {
		refuse(h, error, memory, caller);
		return error;
	}
	b = (struct header *)memory - 1;
	set_size(h, b, size_of(b), 0);
	*(struct tombstone *)memory = (struct tombstone){ MARK ^ (uintptr_t)memory, caller };
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

size_t heap_next_size(const struct heap *h, size_t above, size_t *blocks)
{
	size_t size = 0;

	*blocks = 0;
	for (const struct header *b = first(h); b; b = next(h, b)) {
		if (is_used(b) || size_of(b) <= above || (size && size_of(b) > size))
			continue;
		*blocks = size_of(b) == size ? *blocks + 1 : 1;
		size = size_of(b);
	}
	return size;
}
