/*
 * Fixed-size blocks: alloc and free are a pop and a push, the same cost at any size. Counted, and
 * refusing by name what no pool may take back. A pool is made once and lives for ever.
 */
#ifndef MEM_POOL_H
#define MEM_POOL_H

#include "arch/types.h"

struct mem_pool {
	const char *name;
	uintptr_t base;
	size_t block; /* bytes, a multiple of 16 */
	size_t capacity;
	size_t in_use, high_water;
	size_t allocs, frees, failures;
	uintptr_t last_failing_caller;
	void *free_list; /* each free block's first word is the next */
	uint8_t *used;	 /* one byte a block: is it given out? */
};

enum pool_error { POOL_OK, POOL_FOREIGN, POOL_MISALIGNED, POOL_DOUBLE_FREE };

/* Make a pool of `capacity` blocks of at least `block` bytes on the early heap. False: it does not fit. */
bool pool_init(struct mem_pool *pool, const char *name, size_t block, size_t capacity);

/* A block, contents undefined, or NULL when all are in use. */
void *pool_alloc(struct mem_pool *pool);

/* Anything but POOL_OK: nothing was done. */
enum pool_error pool_free(struct mem_pool *pool, void *block);

/* Is this one of the pool's own blocks? */
bool pool_owns(const struct mem_pool *pool, const void *block);

/* [pool] NAME capacity= in_use= high_water= allocs= frees= failures= */
void pool_report(const struct mem_pool *pool);

#endif
