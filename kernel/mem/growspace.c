/* See growspace.h. */
#include "mem/growspace.h"

#include "arch/mmu.h"
#include "base/ledger.h"
#include "report/inject.h"
#include "base/protect.h"
#include "mem/page.h"

INJECT_SITE(grow, take, growspace_take, 0, "no addresses are left, or no tables for them")
INJECT_SITE(grow, pages, growspace_map, 0, "the reserve has too few pages")

#define MAX_RANGES 16
#define TABLE_BYTES (2 * MiB) /* what one level 3 table maps */

struct spinlock growspace_lock = SPINLOCK_SWITCHED(PROTECT_RESERVE_LOCK);

/* A page of the reserve holds the link to the next. */
static struct reserved {
	struct reserved *next;
} * reserve;

static struct growspace_count count;

static struct range {
	uintptr_t lowest, end; /* end 0: not taken */
} ranges[MAX_RANGES];
static uintptr_t next = GROW_WINDOW;

void (*growspace_hook)(void);

/* `mapped` of it come from a stack. */
static void put(struct reserved *page, size_t mapped)
{
	uint64_t flags = spin_lock(&growspace_lock);

	page->next = reserve;
	reserve = page;
	count.free++;
	count.mapped -= mapped;
	spin_unlock(&growspace_lock, flags);
}

/* So many pages, the link of the last NULL; NULL: there are not so many, and none is taken. Locked. */
static struct reserved *take_pages(size_t pages)
{
	struct reserved *first = reserve, *last = first, *rest;

	if (count.free < pages)
		return NULL;
	for (size_t n = 1; n < pages; n++)
		last = last->next;
	rest = last->next;
	if (growspace_hook)
		growspace_hook();
	reserve = rest;
	last->next = NULL;
	count.free -= pages;
	count.mapped += pages;
	if (count.mapped > count.peak)
		count.peak = count.mapped;
	return first;
}

size_t growspace_fill(size_t pages)
{
	while (count.free < pages) {
		struct reserved *page = page_alloc();

		if (!page)
			break;
		put(page, 0);
	}
	return count.free;
}

void growspace_drain(void)
{
	uint64_t flags = spin_lock(&growspace_lock);

	while (reserve) {
		struct reserved *page = reserve;

		reserve = page->next;
		count.free--;
		page_free(page);
	}
	spin_unlock(&growspace_lock, flags);
}

struct growspace_count growspace_count(void)
{
	return count;
}

void growspace_reset_peak(void)
{
	count.peak = count.mapped;
}

/* Where [from, from + size) and the guard below it would meet a taken range, the end of that; else 0. */
static uintptr_t in_the_way(uintptr_t from, size_t size)
{
	for (size_t i = 0; i < MAX_RANGES; i++)
		if (ranges[i].end && ranges[i].lowest < from + size + PAGE_SIZE &&
		    ranges[i].end + PAGE_SIZE > from)
			return ranges[i].end;
	return 0;
}

/* The first place from `next` on, once round the window; 0: there is none. */
static uintptr_t find_place(size_t size)
{
	uintptr_t window_end = GROW_WINDOW + GROW_WINDOW_SIZE - PAGE_SIZE;
	uintptr_t from = next + PAGE_SIZE;

	/* No sum below may wrap. */
	if (size > GROW_WINDOW_SIZE)
		return 0;
	for (int wrapped = 0; wrapped < 2;) {
		uintptr_t end;

		if (from + size > window_end) {
			from = GROW_WINDOW + PAGE_SIZE;
			wrapped++;
			continue;
		}
		end = in_the_way(from, size);
		if (!end)
			return from;
		from = end + PAGE_SIZE;
	}
	return 0;
}

static struct range *free_range(void)
{
	for (size_t i = 0; i < MAX_RANGES; i++)
		if (!ranges[i].end)
			return &ranges[i];
	return NULL;
}

/* A page mapped and unmapped again leaves its tables. Which page does not matter: it is not looked at. */
static bool make_tables(uintptr_t from, size_t size)
{
	uintptr_t end = from + size + PAGE_SIZE;

	for (uintptr_t va = from - PAGE_SIZE; va < end;
	     va = ALIGN_DOWN(va, TABLE_BYTES) + TABLE_BYTES) {
		unsigned int level;

		mmu_descriptor(va, &level);
		if (level == 3)
			continue;
		if (mmu_map(va, RAM_BASE, PAGE_SIZE, MAP_DATA))
			return false;
		mmu_unmap(va, PAGE_SIZE);
	}
	return true;
}

bool growspace_take(size_t size, uintptr_t *lowest)
{
	uint64_t flags = spin_lock(&growspace_lock);
	struct range *range = inject(&grow_take_site, size) ? NULL : free_range();
	uintptr_t from = range ? find_place(size) : 0;
	bool done = from && make_tables(from, size);

	*lowest = 0;
	if (done) {
		*range = (struct range){ from, from + size };
		next = from + size;
		*lowest = from;
		ledger_took(&grow_take_site, (void *)from, size);
	}
	spin_unlock(&growspace_lock, flags);
	return done;
}

void growspace_give(uintptr_t lowest)
{
	uint64_t flags = spin_lock(&growspace_lock);

	ledger_gave(&grow_take_site, (void *)lowest);
	for (size_t i = 0; i < MAX_RANGES; i++)
		if (ranges[i].lowest == lowest)
			ranges[i] = (struct range){ 0, 0 };
	spin_unlock(&growspace_lock, flags);
}

struct growspace_places growspace_places(void)
{
	return (struct growspace_places){ (uintptr_t)&reserve, (uintptr_t)ranges };
}

size_t growspace_ranges(void)
{
	size_t taken = 0;

	for (size_t i = 0; i < MAX_RANGES; i++)
		taken += ranges[i].end != 0;
	return taken;
}

bool growspace_map(uintptr_t va, size_t size)
{
	uint64_t flags = spin_lock(&growspace_lock);
	bool refused = inject(&grow_pages_site, size);
	struct reserved *page = refused ? NULL : take_pages(size / PAGE_SIZE);

	spin_unlock(&growspace_lock, flags);
	if (!page)
		return false;
	for (; page; va += PAGE_SIZE) {
		struct reserved *rest = page->next;

		/* Its table is there: growspace_take() made it. */
		mmu_map(va, virt_to_phys(page), PAGE_SIZE, MAP_DATA);
		ledger_took(&grow_pages_site, (void *)va, PAGE_SIZE);
		page = rest;
	}
	return true;
}

void growspace_unmap(uintptr_t va, size_t size)
{
	for (uintptr_t end = va + size; va < end; va += PAGE_SIZE) {
		uintptr_t pa = mmu_page_of(va);

		if (!pa)
			continue;
		mmu_unmap(va, PAGE_SIZE);
		ledger_gave(&grow_pages_site, (void *)va);
		put(phys_to_virt(pa), 1);
	}
}
