/*
 * See heap.h. Arithmetic over its own range: it compiles for the host as well.
 *
 * Headers lie among the blocks, where an owner that goes too far writes first. So they decide nothing: what is
 * a block, how large, and in use or not, stands in a record out of everybody's reach, one for each place where
 * a block can begin. A header repeats it, and is compared before its block or a neighbour is given out or taken
 * back: one that differs was written over.
 */
#include "mem/heap.h"

#include "base/ledger.h"
#include "report/inject.h"
#include "base/protect.h"
#include "mem/bump.h"

INJECT_SITE(heap, alloc, heap_alloc, 0, "no free block is large enough")

/* Before each block's memory. Sizes are bytes after the header, multiples of HEAP_ALIGN. */
struct header {
	size_t size_and_used; /* as its record has it */
	size_t previous;      /* size of the block before this one; for the first, FIRST */
};
_Static_assert(sizeof(struct header) == HEAP_HEADER_BYTES, "heap.h");

#define USED 1UL
#define FIRST 1UL /* no size is odd */

/* In the first bytes of a block's memory, from when it is freed until somebody writes there again. */
struct tombstone {
	uintptr_t mark; /* of its own address and freed_by: neither a copy nor a part of it is one */
	uintptr_t freed_by;
};
_Static_assert(sizeof(struct tombstone) <= HEAP_ALIGN, "the smallest block holds one");

#define MARK 0xdeadb10cdeadb10cUL

static size_t place(const struct heap *h, const struct header *b)
{
	return ((uintptr_t)b - h->base) / HEAP_ALIGN;
}

static struct heap_record *record_of(const struct heap *h, const struct header *b)
{
	return &h->records[place(h, b)];
}

static bool begins(const struct heap *h, const struct header *b)
{
	return record_of(h, b)->size_and_used != 0;
}

static size_t size_of(const struct heap *h, const struct header *b)
{
	return record_of(h, b)->size_and_used & ~USED;
}

static bool is_used(const struct heap *h, const struct header *b)
{
	return record_of(h, b)->size_and_used & USED;
}

/* NULL: it has no blocks, since it was never made. */
static struct header *first(const struct heap *h)
{
	return (struct header *)h->base;
}

static struct header *after(const struct header *b, size_t size)
{
	return (struct header *)((uintptr_t)b + HEAP_HEADER_BYTES + size);
}

/* The block after b, NULL after the last. */
static struct header *next(const struct heap *h, const struct header *b)
{
	struct header *behind = after(b, size_of(h, b));

	return (uintptr_t)behind < h->base + h->size ? behind : NULL;
}

/* The block before b, as b's header says; NULL if it says nothing that can be. */
static struct header *previous(const struct heap *h, const struct header *b)
{
	size_t offset = (uintptr_t)b - h->base;

	/* Both are multiples of 16: less is less by a header at least. */
	if (b->previous >= offset || b->previous % HEAP_ALIGN)
		return NULL;
	return (struct header *)((uintptr_t)b - b->previous - HEAP_HEADER_BYTES);
}

static void set_size(const struct heap *h, struct header *b, size_t size, size_t used)
{
	struct header *behind = after(b, size);

	b->size_and_used = size | used;
	record_of(h, b)->size_and_used = (uint32_t)(size | used);
	if ((uintptr_t)behind < h->base + h->size)
		behind->previous = size;
}

/* Where it was asked for, as 32 bits: from heap_alloc() on. */
static int32_t owner_from(uintptr_t caller)
{
	return (int32_t)(caller - (uintptr_t)heap_alloc);
}

static uintptr_t owner_of(const struct heap *h, const struct header *b)
{
	int32_t owner = record_of(h, b)->owner;

	return owner ? (uintptr_t)heap_alloc + (uintptr_t)(intptr_t)owner : 0;
}

static bool can_be_made(const void *memory, size_t size)
{
	return memory && (uintptr_t)memory % HEAP_ALIGN == 0 && size % HEAP_ALIGN == 0 &&
	       size >= HEAP_HEADER_BYTES + HEAP_ALIGN && size <= HEAP_MAX_BYTES;
}

bool heap_init(struct heap *h, void *memory, size_t size)
{
	size_t places = size / HEAP_ALIGN;
	struct heap_record *records = NULL;

	*h = (struct heap){ .base = 0 };
	if (can_be_made(memory, size))
		records = kmem_alloc_aligned(places * sizeof(*records), sizeof(*records));
	if (!records)
		return false;
	for (size_t i = 0; i < places; i++)
		records[i] = (struct heap_record){ .size_and_used = 0 };
	*h = (struct heap){ .base = (uintptr_t)memory, .size = size, .records = records };
	first(h)->previous = FIRST;
	set_size(h, first(h), size - HEAP_HEADER_BYTES, 0);
	return true;
}

/* --- what is wrong ------------------------------------------------------------------------------------ */

static bool knows_before(const struct heap *h, const struct header *b)
{
	const struct header *before;

	if (b == first(h))
		return b->previous == FIRST;
	before = previous(h, b);
	return before && begins(h, before) && size_of(h, before) == b->previous;
}

static bool is_whole(const struct heap *h, const struct header *b)
{
	return b->size_and_used == record_of(h, b)->size_and_used && knows_before(h, b);
}

/*
 * Of the header at b and those beside it, the first that was written over. A free block after it will be
 * joined, so the header after that one counts, too.
 */
static const struct header *written_over(const struct heap *h, const struct header *b)
{
	const struct header *before, *behind;

	if (!is_whole(h, b))
		return b;
	for (behind = next(h, b); behind; behind = next(h, behind)) {
		if (!is_whole(h, behind))
			return behind;
		if (is_used(h, behind))
			break;
	}
	before = previous(h, b);
	return before && !is_whole(h, before) ? before : NULL;
}

/* Whoever wrote over the header at b most likely has one of the two blocks beside it. */
static void blame(struct heap *h, const struct header *b, uintptr_t caller)
{
	const struct header *before = b;

	h->refused = (struct refusal){ .why = "corrupt", .now = caller, .corrupt = true };
	h->refused.header_of = owner_of(h, b);
	if (b == first(h))
		return;
	do
		before--;
	while (!begins(h, before));
	h->refused.after = owner_of(h, before);
}

bool heap_check(struct heap *h)
{
	for (const struct header *b = first(h); b; b = next(h, b)) {
		if (is_whole(h, b))
			continue;
		blame(h, b, (uintptr_t)__builtin_return_address(0));
		return false;
	}
	return true;
}

/* --- given out ---------------------------------------------------------------------------------------- */

/* What a search came to: a block and its record, or the header that ended it, or none of both. */
struct found {
	struct header *b;
	struct heap_record *record;
	const struct header *wrong;
};

/* So many bytes further, the record of what begins there: a record for each HEAP_ALIGN of them. */
static inline struct heap_record *further(struct heap_record *record, size_t bytes)
{
	_Static_assert(HEAP_ALIGN == 2 * sizeof(*record), "half as many");
	return (struct heap_record *)((uintptr_t)record + bytes / 2);
}

/* Not as its record says, or not as the size of the block before it. */
static inline bool differs(const struct header *b, size_t is, size_t before)
{
	return (b->size_and_used ^ is) | (b->previous ^ before);
}

/* First fit. Every header on the way is compared, and the first that differs ends it. */
static inline struct found search(struct heap *h, size_t size)
{
	bool checked = protected(PROTECT_HEAP_CHECK);
	const struct header *end = (const struct header *)(h->base + h->size);
	struct found f = { .b = first(h), .record = h->records };
	size_t steps = 0, before = FIRST;

	for (; f.b < end; f.b = after(f.b, before)) {
		size_t is = f.record->size_and_used;

		if (checked && differs(f.b, is, before)) {
			f.wrong = f.b;
			break;
		}
		steps++;
		before = is & ~USED;
		if (before == is && is >= size) {
			h->steps = steps;
			return f;
		}
		f.record = further(f.record, before + HEAP_HEADER_BYTES);
	}
	h->steps = steps;
	f.b = NULL;
	return f;
}

/* The header after the block that was found will be written: was it, by somebody else? */
static inline void look_behind(const struct heap *h, struct found *f)
{
	size_t size = f->record->size_and_used;
	const struct header *behind = after(f->b, size);

	if ((uintptr_t)behind < h->base + h->size && protected(PROTECT_HEAP_CHECK) &&
	    differs(behind, further(f->record, size + HEAP_HEADER_BYTES)->size_and_used, size))
		f->wrong = behind;
}

/* Keep the first `size` bytes; what is after them becomes a block if it can hold anything. */
static inline void split(const struct heap *h, const struct found *f, size_t size)
{
	size_t rest = f->record->size_and_used - size;
	struct header *behind = after(f->b, size), *last;

	if (rest < HEAP_HEADER_BYTES + HEAP_ALIGN) {
		f->b->size_and_used = f->record->size_and_used |= USED;
		return;
	}
	f->b->size_and_used = f->record->size_and_used = (uint32_t)(size | USED);
	rest -= HEAP_HEADER_BYTES;
	*behind = (struct header){ rest, size };
	further(f->record, size + HEAP_HEADER_BYTES)->size_and_used = (uint32_t)rest;
	last = after(behind, rest);
	if ((uintptr_t)last < h->base + h->size)
		last->previous = rest;
}

/* noinline: what is rare keeps no register of what is not. */
__attribute__((noinline)) static void *refuse_alloc(struct heap *h, const struct header *wrong,
						    uintptr_t caller)
{
	h->failures++;
	if (wrong)
		blame(h, wrong, caller);
	if (!h->records)
		h->refused = (struct refusal){ .why = "not-made", .now = caller };
	/* The bug of a heap that trusts its callers: the memory after its end is nobody's. */
	return protected(PROTECT_HEAP_CHECK) ? NULL : (void *)(h->base + h->size);
}

void *heap_alloc(struct heap *h, size_t size)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	size_t rounded = size ? ALIGN_UP(size, (size_t)HEAP_ALIGN) : HEAP_ALIGN;
	struct found f = { .b = NULL };

	if (inject(&heap_alloc_site, size))
		return NULL;
	/* A size near the top of the range must not wrap when it is rounded up. */
	if (size <= h->size)
		f = search(h, rounded);
	if (f.b)
		look_behind(h, &f);
	if (!f.b || f.wrong)
		return refuse_alloc(h, f.wrong, caller);
	split(h, &f, rounded);
	f.record->owner = owner_from(caller);
	h->allocs++;
	ledger_took(&heap_alloc_site, f.b + 1, size);
	return f.b + 1;
}

/* --- taken back --------------------------------------------------------------------------------------- */

static void join(const struct heap *h, struct header *b, const struct header *behind)
{
	size_t size = size_of(h, b) + HEAP_HEADER_BYTES + size_of(h, behind);

	*record_of(h, behind) = (struct heap_record){ .size_and_used = 0 };
	set_size(h, b, size, 0);
}

static bool has_tombstone(const void *memory)
{
	const struct tombstone *t = memory;

	return t->mark == (MARK ^ (uintptr_t)memory ^ t->freed_by);
}

/* No block begins here: is the one around it free, or was there one that has been freed? */
static enum heap_error check_inside(const struct heap *h, const struct header *b)
{
	if (has_tombstone(b + 1))
		return HEAP_DOUBLE_FREE;
	while (!begins(h, b))
		b--;
	return is_used(h, b) ? HEAP_INSIDE : HEAP_DOUBLE_FREE;
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
	if (!begins(h, b))
		return check_inside(h, b);
	if (written_over(h, b))
		return HEAP_CORRUPT;
	return is_used(h, b) ? HEAP_OK : HEAP_DOUBLE_FREE;
}

static void refuse(struct heap *h, enum heap_error error, const void *memory, uintptr_t caller)
{
	static const char *const names[] = {
		[HEAP_FOREIGN] = "foreign",
		[HEAP_INSIDE] = "inside",
		[HEAP_DOUBLE_FREE] = "double-free",
	};
	bool known = error == HEAP_DOUBLE_FREE && has_tombstone(memory);

	if (error == HEAP_CORRUPT) {
		blame(h, written_over(h, (const struct header *)memory - 1), caller);
		return;
	}
	h->refused = (struct refusal){ .why = names[error], .now = caller };
	if (known)
		h->refused.first = ((const struct tombstone *)memory)->freed_by;
}

/* The bug of a heap whose headers decide: what stands there becomes its record. */
static void believe(const struct heap *h, const struct header *b)
{
	if (b)
		record_of(h, b)->size_and_used =
			(uint32_t)(b->size_and_used & ~(HEAP_ALIGN - 1UL)) |
			(uint32_t)(b->size_and_used & USED);
}

static void believe_all(const struct heap *h, const struct header *b)
{
	believe(h, b);
	believe(h, next(h, b));
	believe(h, previous(h, b));
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
	if (!protected(PROTECT_HEAP_CHECK))
		believe_all(h, b);
	before = previous(h, b);
	behind = next(h, b);
	set_size(h, b, size_of(h, b), 0);
	*(struct tombstone *)memory =
		(struct tombstone){ MARK ^ (uintptr_t)memory ^ caller, caller };
	if (behind && !is_used(h, behind))
		join(h, b, behind);
	if (before && !is_used(h, before))
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
		if (is_used(h, b))
			continue;
		c.free_blocks++;
		c.total_free += size_of(h, b);
		if (size_of(h, b) > c.largest_free)
			c.largest_free = size_of(h, b);
	}
	return c;
}

size_t heap_next_size(const struct heap *h, size_t above, size_t *blocks)
{
	size_t size = 0;

	*blocks = 0;
	for (const struct header *b = first(h); b; b = next(h, b)) {
		size_t has = size_of(h, b);

		if (is_used(h, b) || has <= above || (size && has > size))
			continue;
		*blocks = has == size ? *blocks + 1 : 1;
		size = has;
	}
	return size;
}
