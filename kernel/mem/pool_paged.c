/*
 * A pool whose every block has a page of its own and ends where that page does; the next one is never
 * mapped, so the first byte past the block faults. A free block's page is not mapped either: whoever still
 * uses it faults, too. Before the block, what is left of its page is zone.
 *
 * The pool reaches a block's page through the linear map, mapped or not. protect=-object-page maps what
 * should not be.
 */
#include "base/protect.h"
#include "mem/page.h"
#include "mem/pool.h"
#include "mem/pool_window.h"

static uintptr_t page_of(uintptr_t block)
{
	return ALIGN_DOWN(block, PAGE_SIZE);
}

static void unmap(uintptr_t va)
{
	if (protected(PROTECT_OBJECT_PAGE))
		mmu_unmap(va, PAGE_SIZE);
}

/* The page stays behind the address, for the pool; only the way there is closed. */
static bool back_block(struct mem_pool *pool, size_t index)
{
	uintptr_t va = page_of(pool_block(pool, index));
	uintptr_t page = pool_window_back(va, MAP_DATA);

	if (!page)
		return false;
	pool->pages[index] = page + PAGE_SIZE - pool->block;
	unmap(va);
	return protected(PROTECT_OBJECT_PAGE) || pool_window_back(va + PAGE_SIZE, MAP_DATA);
}

/* Of the first `blocks` the pages, and of all whatever else is mapped, and the addresses. */
static void give_all_back(const struct mem_pool *pool, size_t blocks)
{
	for (size_t i = 0; i < blocks; i++) {
		mmu_unmap(page_of(pool_block(pool, i)), PAGE_SIZE);
		page_free((void *)page_of(pool->pages[i]));
	}
	pool_window_give_back(page_of(pool->base), 2 * pool->capacity);
}

static bool paged_make(struct mem_pool *pool)
{
	uintptr_t window;

	if (pool->block > PAGE_SIZE || pool->capacity > POOL_WINDOW_PAGES)
		return false;
	window = pool_window_take(2 * pool->capacity);
	if (!window)
		return false;
	pool->pages = (uintptr_t *)(pool->blocks + pool->capacity);
	pool->before = PAGE_SIZE - pool->block;
	pool->stride = 2 * PAGE_SIZE;
	pool->base = window + pool->before;
	for (size_t i = 0; i < pool->capacity; i++) {
		if (back_block(pool, i))
			continue;
		give_all_back(pool, i);
		return false;
	}
	return true;
}

static void *paged_shadow(const struct mem_pool *pool, uintptr_t block)
{
	return (void *)pool->pages[pool_index(pool, block)];
}

static void *paged_give(struct mem_pool *pool, uintptr_t block)
{
	uintptr_t page = page_of(pool->pages[pool_index(pool, block)]);

	/* Cannot fail: the table is there since the pool was made. */
	if (protected(PROTECT_OBJECT_PAGE))
		mmu_map(page_of(block), virt_to_phys(page), PAGE_SIZE, MAP_DATA);
	return (void *)block;
}

static void paged_withdraw(__attribute__((unused)) struct mem_pool *pool, uintptr_t block)
{
	unmap(page_of(block));
}

const struct pool_mode pool_paged = {
	.record = sizeof(uintptr_t),
	.make = paged_make,
	.shadow = paged_shadow,
	.give = paged_give,
	.withdraw = paged_withdraw,
};
