/*
 * Fixed-size blocks: alloc and free are a pop and a push, the same cost at any capacity. Counted, and
 * refusing by name what no pool may take back or give out. A pool is made once and lives for ever.
 *
 *     | zone | block, `block` bytes of which `size` were asked for … slack | zone |   one stride
 *
 * The free list runs through the free blocks themselves. Each protection is a switch (base/protect.c):
 *
 *   pool-check   a free is of a block of this pool, from its first byte, and in use; a pool that was not
 *                made gives nothing
 *   pool-link    a link is stored twice, each with a key and its own place in it: one that was overwritten
 *                is not followed
 *   poison       behind its link a free block holds POISON_FREED, looked at when it is given out again
 *   redzone      zones and slack hold POISON_REDZONE, looked at when the block is freed
 *   pool-limit   an empty pool gives nothing
 *
 * What is found is one record, `[pool] ERROR pool= block= …`, with who took the block, who freed it, and
 * who was at it when it was found. Nothing is repaired: a block that was written into is never given
 * out again, and a list whose link is smashed ends there.
 */
#ifndef MEM_POOL_H
#define MEM_POOL_H

#include "arch/types.h"

struct mem_pool;

enum pool_error {
	POOL_OK,
	POOL_FOREIGN,	       /* freed: no block of any pool */
	POOL_WRONG_POOL,       /* freed: another pool's */
	POOL_MISALIGNED,       /* freed: not by its first byte */
	POOL_DOUBLE_FREE,      /* freed: not in use */
	POOL_NOT_MADE,	       /* asked for a block: it could not be made, or nobody has tried */
	POOL_SMASHED_LINK,     /* the free list was written into */
	POOL_WRITE_AFTER_FREE, /* a free block was */
	POOL_UNDERFLOW,	       /* the zone before a block was */
	POOL_OVERFLOW,	       /* the zone behind it was */
	NR_POOL_ERRORS,
};

enum pool_state { BLOCK_FREE, BLOCK_USED, BLOCK_BAD /* in nobody's hands, and never again */ };

/* What is known of a block, out of reach of whoever has it. GDB's `hw pools` reads it. */
struct pool_block {
	uintptr_t allocated_by, freed_by; /* return addresses; 0: never */
	enum pool_state state;
};

/* As the free list has it: mem/pool_guard.c opens it. */
struct pool_link {
	uint64_t sealed, copy;
};

/* What was found last. Words hold the byte at `offset` from the block's first. */
struct pool_finding {
	enum pool_error error;
	const struct mem_pool *owner; /* of the block; not the pool itself if it was the wrong one */
	uintptr_t address;	      /* what was freed, or the block */
	long offset;
	uint64_t expected, found; /* of a link: where it should lead, and where it does */
	uint64_t raw;		  /* of a link: the word that stands there */
	uintptr_t caller;
};

/*
 * Where a pool's blocks lie, if not one behind the other on the early heap: pool_paged.c, pool_tagged.c.
 * Addresses are as the owners of blocks have them, without a tag.
 */
struct pool_mode {
	bool tagged; /* what an owner holds has a tag in its top byte (FEAT_MTE), all ones in an address */
	size_t record; /* bytes a block that it keeps behind pool->blocks */
	/* Memory for capacity blocks: sets base, before, behind and stride. False: it does not fit; nothing is kept. */
	bool (*make)(struct mem_pool *pool);
	/* Where the pool itself reaches a block, whatever its owner may. */
	void *(*shadow)(const struct mem_pool *pool, uintptr_t block);
	/* A block becomes its owner's, who gets what this returns; and becomes nobody's. */
	void *(*give)(struct mem_pool *pool, uintptr_t block);
	void (*withdraw)(struct mem_pool *pool, uintptr_t block);
};

extern const struct pool_mode pool_paged;  /* each block ends at an unmapped page */
extern const struct pool_mode pool_tagged; /* neighbours have different tags (FEAT_MTE2) */

struct mem_pool {
	const char *name;
	uintptr_t base;		   /* the first block */
	uint64_t inverse;	   /* of stride's odd part, modulo 2^64; */
	unsigned int shift;	   /* and how often 2 is in it */
	size_t capacity;	   /* blocks */
	struct pool_block *blocks; /* NULL: the pool was not made */
	size_t stride,
		span; /* bytes from block to block; and from the first to the end of the last */
	size_t size, block;    /* bytes asked for, and rounded up to 16 */
	size_t before, behind; /* bytes of zone around each block */
	size_t in_use, high_water;
	size_t allocs, frees, failures;
	uintptr_t last_failing_caller;
	struct pool_link free_list;
	uint64_t key, copy_key; /* of a link's two words */
	size_t errors;
	struct pool_finding last;
	const struct pool_mode *mode; /* NULL: on the early heap */
	uintptr_t *pages;	      /* pool_paged's shadows, behind blocks; else NULL */
	struct mem_pool *next;	      /* in all_pools */
};

/* Every pool that was made. */
extern struct mem_pool *all_pools;

/* What the keys of all later pools come from: the same number, the same keys. */
void pool_seed(uint64_t seed);

/*
 * Make a pool of `capacity` blocks of at least `size` bytes on the early heap, or as its mode has them. False:
 * it does not fit, nothing is kept, and the pool is empty.
 */
bool pool_init(struct mem_pool *pool, const char *name, size_t size, size_t capacity);
bool pool_init_mode(struct mem_pool *pool, const char *name, size_t size, size_t capacity,
		    const struct pool_mode *mode);

/*
 * A block, contents undefined; or NULL: all are in use, and failures is one more; or pool->last.error says
 * what was found on the way, and errors is one more, too.
 */
void *pool_alloc(struct mem_pool *pool);

/* Anything but POOL_OK was reported, and the block is not given out again. */
enum pool_error pool_free(struct mem_pool *pool, void *block);

/* Look at every block and at the whole free list; what is wrong is reported. How much that was. */
size_t pool_check(struct mem_pool *pool);

/* Is this one of the pool's own blocks? */
bool pool_owns(const struct mem_pool *pool, const void *block);
const struct mem_pool *pool_find(const void *block);

/* [pool] NAME capacity= in_use= high_water= allocs= frees= failures= [errors=] [refused=] */
void pool_report(const struct mem_pool *pool);

/* [pool] ERROR pool= …: pool->last */
void pool_report_finding(const struct mem_pool *pool);

/* "double-free", and the switch of who finds it: "pool-check". */
const char *pool_error_name(enum pool_error error);
const char *pool_detector(enum pool_error error);

/* --- for pool.c, its modes, and pool_report.c ------------------------------------------------------ */

static inline size_t pool_index(const struct mem_pool *pool, uintptr_t address)
{
	return (address - pool->base) / pool->stride;
}

static inline uintptr_t pool_block(const struct mem_pool *pool, size_t index)
{
	return pool->base + index * pool->stride;
}

#define POOL_TAG_BITS (0xffUL << 56)

/* The address in what a block's owner holds. */
static inline uintptr_t pool_address(const struct mem_pool *pool, const void *block)
{
	return (uintptr_t)block | (pool->mode && pool->mode->tagged ? POOL_TAG_BITS : 0);
}

/*
 * What is known of the block that begins here; NULL: none does. No division: a multiple of an odd number,
 * times its inverse, is the quotient; what is no multiple gives more than any quotient, and so does what is
 * none of the power of two, when that is rotated out (Granlund and Montgomery, 1994, section 9).
 */
static inline struct pool_block *pool_record(const struct mem_pool *pool, uintptr_t block)
{
	uint64_t product = (block - pool->base) * pool->inverse;
	uint64_t index = product >> pool->shift | product << (-pool->shift & 63);

	return index < pool->capacity ? &pool->blocks[index] : NULL;
}

static inline void pool_count_given(struct mem_pool *pool)
{
	pool->allocs++;
	if (++pool->in_use > pool->high_water)
		pool->high_water = pool->in_use;
}

#endif
