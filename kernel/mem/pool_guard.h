/*
 * What guards a pool's blocks while nobody, or the wrong one, looks: sealed links, poison and zones; and
 * the note of what was found. For pool.c and its modes; everybody else includes pool.h.
 */
#ifndef MEM_POOL_GUARD_H
#define MEM_POOL_GUARD_H

#include "mem/pool.h"

/* Where the pool itself reaches a block. */
void *pool_shadow(const struct mem_pool *pool, uintptr_t block);

uint64_t pool_next_key(void);

/* What stands in the block `of`, or in the list's head (0), to lead to the block `next`; 0: the end. */
struct pool_link pool_seal(const struct mem_pool *pool, uintptr_t of, uintptr_t next);

/* Remember what was found, in pool->last; whoever calls adds what else is known, and reports it. */
struct pool_finding *pool_note(struct mem_pool *pool, enum pool_error error, uintptr_t address,
			       uintptr_t caller);

/* *next is the block behind the link of the block `of`, or of the head (0). Not POOL_OK: do not use it. */
enum pool_error pool_follow(struct mem_pool *pool, uintptr_t of, uintptr_t caller, uintptr_t *next);

/* Fill what nobody may touch. Links come after. */
void pool_fill_zones(const struct mem_pool *pool, uintptr_t block);
void pool_poison(const struct mem_pool *pool, uintptr_t block);

/* Is it still there? What is not is noted. */
enum pool_error pool_look_at_zones(struct mem_pool *pool, uintptr_t block, uintptr_t caller);
enum pool_error pool_look_at_poison(struct mem_pool *pool, uintptr_t block, uintptr_t caller);

#endif
