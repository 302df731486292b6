/* See pool_window.h. */
#include "mem/pool_window.h"

#include "base/ledger.h"
#include "report/inject.h"
#include "mem/page.h"
#include "mem/pool.h"
#include "report/upcall.h"

#define TAG_BITS (0xffUL << 56)

INJECT_SITE(pool, window, pool_window_take, 0, "no addresses for a pool are left")

static size_t taken = 1; /* pages; the first is never mapped */

uintptr_t pool_window_take(size_t pages)
{
	uintptr_t va = POOL_WINDOW + taken * PAGE_SIZE;

	if (inject(&pool_window_site, pages * PAGE_SIZE) || pages >= POOL_WINDOW_PAGES - taken)
		return 0;
	taken += pages + 1;
	ledger_took(&pool_window_site, (void *)va, pages * PAGE_SIZE);
	return va;
}

static void unmap(uintptr_t va)
{
	uintptr_t pa = mmu_page_of(va);

	if (!pa)
		return;
	mmu_unmap(va, PAGE_SIZE);
	page_free(phys_to_virt(pa));
}

void pool_window_give_back(uintptr_t va, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		unmap(va + i * PAGE_SIZE);
	if (va + (pages + 1) * PAGE_SIZE != POOL_WINDOW + taken * PAGE_SIZE)
		return;
	ledger_gave(&pool_window_site, (void *)va);
	taken -= pages + 1;
}

size_t pool_window_in_use(void)
{
	return taken;
}

static int map_block(uintptr_t va, uintptr_t pa, enum map_kind kind);

INJECT_SITE(pool, map, map_block, -1, "no translation table is left for a pool")

/* noinline: its calls are counted, and GDB makes them fail, at its first instruction. */
__attribute__((noinline)) static int map_block(uintptr_t va, uintptr_t pa, enum map_kind kind)
{
	if (inject(&pool_map_site, PAGE_SIZE))
		return -1;
	return mmu_map(va, pa, PAGE_SIZE, kind);
}

uintptr_t pool_window_back(uintptr_t va, enum map_kind kind)
{
	void *page = page_alloc();

	if (!page)
		return 0;
	if (map_block(va, virt_to_phys(page), kind) == 0)
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
