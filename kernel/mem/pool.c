/* See pool.h. */
#include "mem/pool.h"

#include "arch/sysreg.h"
#include "base/ledger.h"
#include "report/inject.h"
#include "base/poison.h"
#include "base/protect.h"
#include "mem/bump.h"
#include "mem/pool_guard.h"

#define BLOCK_ALIGN 16UL
#define ZONE_BYTES 16UL

INJECT_SITE(pool, alloc, pool_alloc, 0, "no block, as if all were in use")

_Static_assert(sizeof(struct pool_link) <= BLOCK_ALIGN, "the smallest block holds a link");

struct mem_pool *all_pools;

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

/* What could not be made is empty: it has no records, and pool_slow.c refuses by that. */
static bool not_made(struct mem_pool *pool)
{
	*pool = (struct mem_pool){ .name = pool->name };
	return false;
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
		return not_made(pool);
	pool->blocks = kmem_alloc_aligned(records, sizeof(uintptr_t));
	if (!pool->blocks)
		return not_made(pool);
	if (!(mode ? mode->make(pool) : make_plain(pool))) {
		kmem_give_back(pool->blocks);
		return not_made(pool);
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
		pool_push(pool, block, next);
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
 * then the functions of pool_slow.c look again, and say what is wrong. Here nothing is called, so nothing
 * has to be kept. Blocks that are not whole pairs of words, or that lie elsewhere, are theirs, too.
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

static inline void *take_whole(struct mem_pool *pool, uintptr_t caller)
{
	struct pool_opened head = pool_unseal(pool, 0, pool->free_list), link;
	struct pool_block *record;
	uintptr_t block = head.next;

	if (head.next != head.copy || !block || !is_plain(pool))
		return NULL;
	link = pool_unseal(pool, block, *(const struct pool_link *)block);
	record = pool_record(pool, block);
	if (link.next != link.copy || !poison_is_whole(pool, block) || !record)
		return NULL;
	pool->free_list = pool_seal(pool, 0, link.next);
	record->state = BLOCK_USED;
	record->allocated_by = caller;
	pool_count_given(pool);
	return (void *)block;
}

static inline bool put_back_whole(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	struct pool_block *record = pool_record(pool, block);
	struct pool_opened head = pool_unseal(pool, 0, pool->free_list);

	if (!record || record->state != BLOCK_USED || !is_plain(pool) || ledger_is_open ||
	    !zones_are_whole(pool, block) || head.next != head.copy)
		return false;
	record->state = BLOCK_FREE;
	record->freed_by = caller;
	pool->frees++;
	pool->in_use--;
	poison_pairs(pool, block);
	pool_push(pool, block, head.next);
	return true;
}

/* --- given out, and taken back ------------------------------------------------------------------------ */

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
		block = pool_take_slowly(pool, caller);
	irq_restore(flags);
	ledger_took(&pool_alloc_site, block, pool->block);
	return block;
}

enum pool_error pool_free(struct mem_pool *pool, void *block)
{
	uint64_t flags = irq_save();
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	enum pool_error error = POOL_OK;

	if (!put_back_whole(pool, (uintptr_t)block, caller))
		error = pool_take_back_slowly(pool, block, caller, &pool_alloc_site);
	irq_restore(flags);
	return error;
}
