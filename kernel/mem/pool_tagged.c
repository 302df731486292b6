/*
 * A pool whose memory has tags (arch/mte.h). A block's tag is none of its neighbours', and changes when
 * the block is freed: the first byte past a block faults, and so does every use of a freed one, even
 * when the block has a new owner.
 *
 * A block ends where its last unit of tagged memory does. On hardware a unit is 16 bytes, and the blocks
 * lie one behind the other; where it is a page (mte_unit()) each block has one, and before it there is zone.
 *
 * The pool reaches a block with whatever tag its memory has. protect=-mte sets the same tags and lets
 * nobody look at them.
 */
#include "arch/mte.h"
#include "base/protect.h"
#include "mem/page.h"
#include "mem/pool.h"
#include "mem/pool_guard.h"
#include "mem/pool_window.h"

/* Tag 0 is memory that nobody tagged; all ones is a pointer that nobody did. */
#define NO_BLOCKS_TAGS (1U << 0 | 1U << 15)

/* The next tag of a block: none that it or a neighbour has. Of 16 at least 11 are left. */
static void retag(const struct mem_pool *pool, uintptr_t block)
{
	unsigned int taken = NO_BLOCKS_TAGS | 1U << mte_tag_at(block);

	if (block > pool->base)
		taken |= 1U << mte_tag_at(block - pool->stride);
	if (pool_index(pool, block) + 1 < pool->capacity)
		taken |= 1U << mte_tag_at(block + pool->stride);
	mte_set_tags(block - pool->before, pool->stride, mte_random_tag((uint16_t)taken));
}

static uintptr_t back_pages(size_t pages)
{
	uintptr_t window = pool_window_take(pages);

	for (size_t i = 0; window && i < pages; i++) {
		if (pool_window_back(window + i * PAGE_SIZE, MAP_TAGGED))
			continue;
		pool_window_give_back(window, pages);
		return 0;
	}
	return window;
}

static size_t known_unit; /* 0: not yet tried out */

/* 0: there is no page to try it out on. */
static size_t unit(void)
{
	uintptr_t page = known_unit ? 0 : back_pages(1);

	if (page) {
		known_unit = mte_unit(page);
		pool_window_give_back(page, 1);
	}
	return known_unit;
}

static bool tagged_make(struct mem_pool *pool)
{
	uintptr_t window;
	size_t bytes;

	if (!mte_present() || pool->block > POOL_WINDOW_PAGES * PAGE_SIZE)
		return false;
	mte_enable((uint16_t)pool_next_key(), protected(PROTECT_MTE));
	if (!unit())
		return false;
	pool->stride = ALIGN_UP(pool->block, unit());
	if (__builtin_mul_overflow(pool->stride, pool->capacity, &bytes) ||
	    bytes > POOL_WINDOW_PAGES * PAGE_SIZE)
		return false;
	window = back_pages(ALIGN_UP(bytes, PAGE_SIZE) / PAGE_SIZE);
	pool->before = pool->stride - pool->block;
	pool->base = window + pool->before;
	for (size_t i = 0; window && i < pool->capacity; i++)
		retag(pool, pool_block(pool, i));
	return window != 0;
}

static void *tagged_shadow(__attribute__((unused)) const struct mem_pool *pool, uintptr_t block)
{
	return mte_pointer(block);
}

static void *tagged_give(__attribute__((unused)) struct mem_pool *pool, uintptr_t block)
{
	return mte_pointer(block);
}

static void tagged_withdraw(struct mem_pool *pool, uintptr_t block)
{
	retag(pool, block);
}

const struct pool_mode pool_tagged = {
	.tagged = true,
	.make = tagged_make,
	.shadow = tagged_shadow,
	.give = tagged_give,
	.withdraw = tagged_withdraw,
};
