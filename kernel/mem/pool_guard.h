/*
 * What guards a pool's blocks while nobody, or the wrong one, looks: sealed links, poison and zones; and
 * the note of what was found. For pool.c and its modes; everybody else includes pool.h.
 */
#ifndef MEM_POOL_GUARD_H
#define MEM_POOL_GUARD_H

#include "base/protect.h"
#include "mem/pool.h"
#include "report/inject.h"

/* Where the pool itself reaches a block. */
static inline void *pool_shadow(const struct mem_pool *pool, uintptr_t block)
{
	return pool->mode ? pool->mode->shadow(pool, block) : (void *)block;
}

uint64_t pool_next_key(void);

/* The keys of a pool's links. */
void pool_key(struct mem_pool *pool);

/* Where a link lies is in it, so that a copy of it elsewhere is none. */
static inline uint64_t pool_place(const struct mem_pool *pool, uintptr_t of)
{
	return of ? of : (uintptr_t)&pool->free_list;
}

/* What stands in the block `of`, or in the list's head (0), to lead to the block `next`; 0: the end. */
static inline struct pool_link pool_seal(const struct mem_pool *pool, uintptr_t of, uintptr_t next)
{
	uint64_t word = next ^ pool_place(pool, of);

	if (!protected(PROTECT_POOL_LINK))
		return (struct pool_link){ next, next };
	return (struct pool_link){ word ^ pool->key, (word << 29 | word >> 35) ^ pool->copy_key };
}

/* Let the list begin with `block`, and go on with `next`. */
static inline void pool_push(struct mem_pool *pool, uintptr_t block, uintptr_t next)
{
	struct pool_link *link = pool_shadow(pool, block);

	*link = pool_seal(pool, block, next);
	pool->free_list = pool_seal(pool, 0, block);
}

/* A link's two words opened, equal if nobody wrote there. */
struct pool_opened {
	uintptr_t next, copy;
};

static inline struct pool_opened pool_unseal(const struct mem_pool *pool, uintptr_t of,
					     struct pool_link link)
{
	uint64_t copy = link.copy ^ pool->copy_key;

	if (!protected(PROTECT_POOL_LINK))
		return (struct pool_opened){ link.sealed, link.sealed };
	return (struct pool_opened){ link.sealed ^ pool->key ^ pool_place(pool, of),
				     (copy >> 29 | copy << 35) ^ pool_place(pool, of) };
}

/* Remember what was found, in pool->last; whoever calls adds what else is known, and reports it. */
struct pool_finding *pool_note(struct mem_pool *pool, enum pool_error error, uintptr_t address,
			       uintptr_t caller);

/* The link of the block `of`, or of the head (0), was written into. */
enum pool_error pool_note_link(struct mem_pool *pool, uintptr_t of, struct pool_link link,
			       uintptr_t caller);

/* *next is the block behind the link of the block `of`, or of the head (0). Not POOL_OK: do not use it. */
static inline enum pool_error pool_follow(struct mem_pool *pool, uintptr_t of, uintptr_t caller,
					  uintptr_t *next)
{
	const struct pool_link *link = of ? pool_shadow(pool, of) : &pool->free_list;
	struct pool_opened o = pool_unseal(pool, of, *link);

	*next = o.next;
	return o.next == o.copy ? POOL_OK : pool_note_link(pool, of, *link, caller);
}

/* For the functions below, which ask the switch first: one that is off costs no call. */
void pool_fill_poison(const struct mem_pool *pool, uintptr_t block);
enum pool_error pool_read_zones(struct mem_pool *pool, uintptr_t block, uintptr_t caller);
enum pool_error pool_read_poison(struct mem_pool *pool, uintptr_t block, uintptr_t caller);

/* Fill what nobody may touch. Links come after. */
void pool_fill_zones(const struct mem_pool *pool, uintptr_t block);

static inline void pool_poison(const struct mem_pool *pool, uintptr_t block)
{
	if (protected(PROTECT_POISON))
		pool_fill_poison(pool, block);
}

/* Is it still there? What is not is noted. */
static inline enum pool_error pool_look_at_zones(struct mem_pool *pool, uintptr_t block,
						 uintptr_t caller)
{
	return protected(PROTECT_REDZONE) ? pool_read_zones(pool, block, caller) : POOL_OK;
}

static inline enum pool_error pool_look_at_poison(struct mem_pool *pool, uintptr_t block,
						  uintptr_t caller)
{
	return protected(PROTECT_POISON) ? pool_read_poison(pool, block, caller) : POOL_OK;
}

/* The rest of pool_alloc() and pool_free(): pool_slow.c. */
void *pool_take_slowly(struct mem_pool *pool, uintptr_t caller);
enum pool_error pool_take_back_slowly(struct mem_pool *pool, void *block, uintptr_t caller,
				      const struct inject_site *site);

#endif
