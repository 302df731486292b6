/* See pool.h. */
#include "mem/pool.h"

#include "arch/sysreg.h"
#include "core/ledger.h"
#include "core/poison.h"
#include "core/protect.h"
#include "mem/bump.h"
#include "mem/pool_guard.h"

#define BLOCK_ALIGN 16UL
#define ZONE_BYTES 16UL
#define TAG_BITS (0xffUL << 56)

INJECT_SITE(pool, alloc, pool_alloc, 0, "no block, as if all were in use")

_Static_assert(sizeof(struct pool_link) <= BLOCK_ALIGN, "the smallest block holds a link");

struct mem_pool *all_pools;

/* The address in what a block's owner holds. */
static uintptr_t address_of(const struct mem_pool *pool, const void *block)
{
	return (uintptr_t)block | (pool->mode && pool->mode->tagged ? TAG_BITS : 0);
}

bool pool_owns(const struct mem_pool *pool, const void *block)
{
	return address_of(pool, block) - pool->base < pool->span;
}

const struct mem_pool *pool_find(const void *block)
{
	const struct mem_pool *pool = all_pools;

	while (pool && !pool_owns(pool, block))
		pool = pool->next;
	return pool;
}

/*
 * What is known of the block that begins here; NULL: none does. No division: a multiple of an odd number,
 * times its inverse, is the quotient; what is no multiple gives more than any quotient, and so does what is
 * none of the power of two, when that is rotated out (Granlund and Montgomery, 1994, section 9).
 */
static inline struct pool_block *record_of(const struct mem_pool *pool, uintptr_t block)
{
	uint64_t product = (block - pool->base) * pool->inverse;
	uint64_t index = product >> pool->shift | product << (-pool->shift & 63);

	return index < pool->capacity ? &pool->blocks[index] : NULL;
}

/* x * x = 1 modulo 8 for an odd x: three bits are right, and with each step twice as many. */
static void set_inverse(struct mem_pool *pool)
{
	uint64_t odd = pool->stride >> __builtin_ctzl(pool->stride);

	pool->shift = (unsigned int)__builtin_ctzl(pool->stride);
	pool->inverse = odd;
	for (unsigned int right = 3; right < 64; right *= 2)
		pool->inverse *= 2 - odd * pool->inverse;
}

/* --- made ------------------------------------------------------------------------------------------ */

static inline void push(struct mem_pool *pool, uintptr_t block, uintptr_t next)
{
	struct pool_link *link = pool_shadow(pool, block);

	*link = pool_seal(pool, block, next);
	pool->free_list = pool_seal(pool, 0, block);
}

/* Without a mode: one behind the other, a zone on each side of each. */
static bool make_plain(struct mem_pool *pool)
{
	size_t bytes;

	pool->before = pool->behind = protected(PROTECT_REDZONE) ? ZONE_BYTES : 0;
	if (__builtin_add_overflow(pool->block, pool->before + pool->behind, &pool->stride) ||
	    __builtin_mul_overflow(pool->stride, pool->capacity, &bytes))
		return false;
	pool->base = (uintptr_t)kmem_alloc_aligned(bytes, BLOCK_ALIGN);
	if (!pool->base)
		return false;
	pool->base += pool->before;
	return true;
}

static void delist(const struct mem_pool *pool)
{
	for (struct mem_pool **link = &all_pools; *link; link = &(*link)->next) {
		if (*link == pool) {
			*link = pool->next;
			break;
		}
	}
}

bool pool_init_mode(struct mem_pool *pool, const char *name, size_t size, size_t capacity,
		    const struct pool_mode *mode)
{
	size_t record = sizeof(*pool->blocks) + (mode ? mode->record : 0);
	uintptr_t next = 0;
	size_t records;

	delist(pool); /* a lab may make one twice */
	*pool = (struct mem_pool){ .name = name,
				   .size = size < BLOCK_ALIGN ? BLOCK_ALIGN : size,
				   .block = ALIGN_UP(size, BLOCK_ALIGN),
				   .capacity = capacity,
				   .mode = mode };
	/* Rounded up, a block of no bytes is none, and one of nearly all bytes too. */
	if (!pool->block || __builtin_mul_overflow(capacity, record, &records))
		return false;
	pool->blocks = kmem_alloc_aligned(records, sizeof(uintptr_t));
	if (!pool->blocks)
		return false;
	if (!(mode ? mode->make(pool) : make_plain(pool))) {
		kmem_give_back(pool->blocks);
		return false;
	}
	set_inverse(pool);
	pool->span = capacity ? (capacity - 1) * pool->stride + pool->block : 0;
	pool_key(pool);
	pool->free_list = pool_seal(pool, 0, 0);
	/* Backwards, so that the first block is given out first. */
	for (size_t i = capacity; i-- > 0;) {
		uintptr_t block = pool_block(pool, i);

		pool->blocks[i] = (struct pool_block){ .state = BLOCK_FREE };
		pool_fill_zones(pool, block);
		pool_poison(pool, block);
		push(pool, block, next);
		next = block;
	}
	pool->next = all_pools;
	all_pools = pool;
	return true;
}

bool pool_init(struct mem_pool *pool, const char *name, size_t size, size_t capacity)
{
	return pool_init_mode(pool, name, size, capacity, NULL);
}

/* --- as it should be ---------------------------------------------------------------------------------- */

/*
 * Nearly every call finds all as it should be. That is looked at first, and nothing is changed if it is not:
 * then the functions of the next part look again, and say what is wrong. Here nothing is called, so nothing
 * has to be kept. Blocks that are not whole pairs of words, or that lie elsewhere, are the next part's, too.
 */
static inline bool is_plain(const struct mem_pool *pool)
{
	return !pool->mode && pool->size == pool->block;
}

static inline bool pairs_are(uintptr_t from, uintptr_t to, uint64_t word)
{
	for (const uint64_t *pair = (const uint64_t *)from; pair < (const uint64_t *)to; pair += 2)
		if (!((pair[0] == word) & (pair[1] == word)))
			return false;
	return true;
}

static inline bool zones_are_whole(const struct mem_pool *pool, uintptr_t block)
{
	uintptr_t behind = block + pool->block;

	return !protected(PROTECT_REDZONE) ||
	       (pairs_are(block - pool->before, block, POISON_REDZONE) &&
		pairs_are(behind, behind + pool->behind, POISON_REDZONE));
}

static inline bool poison_is_whole(const struct mem_pool *pool, uintptr_t block)
{
	return !protected(PROTECT_POISON) ||
	       pairs_are(block + sizeof(struct pool_link), block + pool->block, POISON_FREED);
}

static inline void poison_pairs(const struct mem_pool *pool, uintptr_t block)
{
	const uint64_t *end = (const uint64_t *)(block + pool->block);
	uint64_t word = POISON_FREED;

	if (!protected(PROTECT_POISON))
		return;
	/* Opaque, or the compiler makes the constant anew for each pair. */
	__asm__("" : "+r"(word));
	for (uint64_t *pair = (uint64_t *)block + 2; pair < end; pair += 2)
		pair[0] = pair[1] = word;
}

static inline void count_given(struct mem_pool *pool)
{
	pool->allocs++;
	if (++pool->in_use > pool->high_water)
		pool->high_water = pool->in_use;
}

static inline void *take_whole(struct mem_pool *pool, uintptr_t caller)
{
	struct pool_opened head = pool_unseal(pool, 0, pool->free_list), link;
	struct pool_block *record;
	uintptr_t block = head.next;

	if (head.next != head.copy || !block || !is_plain(pool))
		return NULL;
	link = pool_unseal(pool, block, *(const struct pool_link *)block);
	record = record_of(pool, block);
	if (link.next != link.copy || !poison_is_whole(pool, block) || !record)
		return NULL;
	pool->free_list = pool_seal(pool, 0, link.next);
	record->state = BLOCK_USED;
	record->allocated_by = caller;
	count_given(pool);
	return (void *)block;
}

static inline bool put_back_whole(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	struct pool_block *record = record_of(pool, block);
	struct pool_opened head = pool_unseal(pool, 0, pool->free_list);

	if (!record || record->state != BLOCK_USED || !is_plain(pool) || ledger_is_open ||
	    !zones_are_whole(pool, block) || head.next != head.copy)
		return false;
	record->state = BLOCK_FREE;
	record->freed_by = caller;
	pool->frees++;
	pool->in_use--;
	poison_pairs(pool, block);
	push(pool, block, head.next);
	return true;
}

/* --- given out, and taken back ------------------------------------------------------------------------ */

static void *refuse(struct mem_pool *pool, uintptr_t caller)
{
	pool->failures++;
	pool->last_failing_caller = caller;
	return NULL;
}

static void *refuse_empty(struct mem_pool *pool, uintptr_t caller)
{
	refuse(pool, caller);
	/* The bug of a pool that trusts its callers: the memory behind the last block is nobody's. */
	if (!protected(PROTECT_POOL_LIMIT))
		return (void *)(pool->base + pool->capacity * pool->stride);
	return NULL;
}

/* A free block, off the list, that somebody wrote into. */
static void *refuse_bad(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	struct pool_block *record = record_of(pool, block);

	if (record)
		record->state = BLOCK_BAD;
	return refuse(pool, caller);
}

static void *give(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	struct pool_block *record = record_of(pool, block);

	if (record) {
		record->state = BLOCK_USED;
		record->allocated_by = caller;
	}
	count_given(pool);
	return pool->mode ? pool->mode->give(pool, block) : (void *)block;
}

__attribute__((noinline)) static void *take(struct mem_pool *pool, uintptr_t caller)
{
	uintptr_t block, next;
	bool smashed;

	if (pool_follow(pool, 0, caller, &block)) {
		pool->free_list = pool_seal(pool, 0, 0);
		return refuse(pool, caller);
	}
	if (!block)
		return refuse_empty(pool, caller);
	smashed = pool_follow(pool, block, caller, &next);
	pool->free_list = pool_seal(pool, 0, smashed ? 0 : next);
	if (smashed || pool_look_at_poison(pool, block, caller))
		return refuse_bad(pool, block, caller);
	return give(pool, block, caller);
}

void *pool_alloc(struct mem_pool *pool)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	uint64_t flags;
	void *block;

	if (inject(&pool_alloc_site, pool->block))
		return NULL;
	flags = irq_save();
	block = take_whole(pool, caller);
	if (!block)
		block = take(pool, caller);
	irq_restore(flags);
	ledger_took(&pool_alloc_site, block, pool->block);
	return block;
}

static enum pool_error misuse(const struct mem_pool *pool, const void *block)
{
	uintptr_t address = address_of(pool, block);
	const struct pool_block *record = record_of(pool, address);

	if (!pool_owns(pool, block))
		return pool_find(block) ? POOL_WRONG_POOL : POOL_FOREIGN;
	if ((address - pool->base) % pool->stride)
		return POOL_MISALIGNED;
	return record && record->state == BLOCK_USED ? POOL_OK : POOL_DOUBLE_FREE;
}

__attribute__((noinline)) static enum pool_error refuse_free(struct mem_pool *pool,
							     const void *block, uintptr_t caller)
{
	enum pool_error error = misuse(pool, block);
	struct pool_finding *f;

	if (!error || !protected(PROTECT_POOL_CHECK))
		return POOL_OK;
	f = pool_note(pool, error, address_of(pool, block), caller);
	if (error == POOL_WRONG_POOL)
		f->owner = pool_find(block);
	if (error == POOL_MISALIGNED)
		f->offset = (long)((f->address - pool->base) % pool->stride);
	pool_report_finding(pool);
	return error;
}

/* Onto the list, or, where it was written beyond, on none. */
static enum pool_error put_back(struct mem_pool *pool, uintptr_t block, struct pool_block *record,
				uintptr_t caller)
{
	enum pool_error error = record ? pool_look_at_zones(pool, block, caller) : POOL_OK;
	uintptr_t next;

	if (record) {
		record->state = error ? BLOCK_BAD : BLOCK_FREE;
		record->freed_by = caller;
	}
	pool->frees++;
	pool->in_use--;
	if (error)
		return error;
	error = pool_follow(pool, 0, caller, &next);
	pool_poison(pool, block);
	push(pool, block, error ? 0 : next);
	return error;
}

__attribute__((noinline)) static enum pool_error take_back(struct mem_pool *pool, void *block,
							   uintptr_t caller)
{
	uintptr_t address = address_of(pool, block);
	struct pool_block *record = record_of(pool, address);
	enum pool_error error = POOL_OK;

	if (!record || record->state != BLOCK_USED)
		error = refuse_free(pool, block, caller);
	if (error)
		return error;
	ledger_gave(&pool_alloc_site, block);
	error = put_back(pool, address, record, caller);
	if (pool->mode)
		pool->mode->withdraw(pool, address);
	return error;
}

enum pool_error pool_free(struct mem_pool *pool, void *block)
{
	uint64_t flags = irq_save();
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	enum pool_error error = POOL_OK;

	if (!put_back_whole(pool, (uintptr_t)block, caller))
		error = take_back(pool, block, caller);
	irq_restore(flags);
	return error;
}

/* --- everything at once ------------------------------------------------------------------------------- */

/* Along the links, no further than there are blocks: each leads to a free one, and each free one is there. */
static size_t check_list(struct mem_pool *pool, size_t free, uintptr_t caller)
{
	uintptr_t block = 0;
	size_t listed = 0;

	for (;;) {
		if (pool_follow(pool, block, caller, &block))
			return 1;
		if (!block)
			return free - listed;
		if (++listed > free)
			return 1;
	}
}

size_t pool_check(struct mem_pool *pool)
{
	uint64_t flags = irq_save();
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	size_t wrong = 0, free = 0;

	for (size_t i = 0; i < pool->capacity; i++) {
		uintptr_t block = pool_block(pool, i);

		if (pool->blocks[i].state == BLOCK_BAD)
			continue;
		wrong += pool_look_at_zones(pool, block, caller) != POOL_OK;
		if (pool->blocks[i].state != BLOCK_FREE)
			continue;
		free++;
		wrong += pool_look_at_poison(pool, block, caller) != POOL_OK;
	}
	wrong += check_list(pool, free, caller);
	irq_restore(flags);
	return wrong;
}
