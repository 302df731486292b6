/* See pool_window.h. */
#include "mem/pool_window.h"

#include "core/upcall.h"
#include "mem/page.h"
#include "mem/pool.h"

#define TAG_BITS (0xffUL << 56)

static size_t taken = 1; /* pages; the first is never mapped */

uintptr_t pool_window_take(size_t pages)
{
	uintptr_t va = POOL_WINDOW + taken * PAGE_SIZE;

	if (pages >= POOL_WINDOW_PAGES - taken)
		return 0;
	taken += pages + 1;
	return va;
}

uintptr_t pool_window_back(uintptr_t va, enum map_kind kind)
{
	void *page = page_alloc();

	if (!page)
		return 0;
	if (mmu_map(va, virt_to_phys(page), PAGE_SIZE, kind) == 0)
		return (uintptr_t)page;
	page_free(page);
	return 0;
}

/* Whatever lies before a block on its own page is the pool's, too. */
static const struct mem_pool *pool_at(uintptr_t place)
{
	const struct mem_pool *p = all_pools;

	while (p && (!p->mode || place - ALIGN_DOWN(p->base, PAGE_SIZE) >= p->capacity * p->stride))
		p = p->next;
	return p;
}

bool pool_window_has(uintptr_t address)
{
	return pool_at(address | TAG_BITS);
}

bool pool_window_name(struct text *t, uintptr_t address)
{
	uintptr_t place = address | TAG_BITS; /* a tag is no part of the place */
	const struct mem_pool *p = pool_at(place);
	uintptr_t block;
	size_t index;

	if (!p)
		return false;
	index = (place - ALIGN_DOWN(p->base, PAGE_SIZE)) / p->stride;
	block = pool_block(p, index);
	text_format(t, "pool:%s[%lu]%c0x%lx", p->name, index, place < block ? '-' : '+',
		    place < block ? block - place : place - block);
	return true;
}
