/* See growspace.h. */
#include "mem/growspace.h"

#include "arch/mmu.h"
#include "mem/page.h"

#define MAX_RANGES 16
#define TABLE_BYTES (2 * MiB) /* what one level 3 table maps */

struct spinlock growspace_lock;

/* A page of the reserve holds the link to the next. */
static struct reserved {
	struct reserved *next;
} * reserve;

static struct growspace_count count;

static struct range {
	uintptr_t lowest, end; /* end 0: not taken */
} ranges[MAX_RANGES];
static uintptr_t next = GROW_WINDOW;

static void put(struct reserved *page)
{
	uint64_t flags = spin_lock(&growspace_lock);

	page->next = reserve;
	reserve = page;
	count.free++;
	spin_unlock(&growspace_lock, flags);
}

static struct reserved *get(void)
{
	uint64_t flags = spin_lock(&growspace_lock);
	struct reserved *page = reserve;

	if (page) {
		reserve = page->next;
		count.free--;
	}
	spin_unlock(&growspace_lock, flags);
	return page;
}

size_t growspace_fill(size_t pages)
{
	while (count.free < pages) {
		struct reserved *page = page_alloc();

		if (!page)
			break;
		put(page);
	}
	return count.free;
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
	struct range *range = free_range();
	uintptr_t from = range ? find_place(size) : 0;
	bool done = from && make_tables(from, size);

	if (done) {
		*range = (struct range){ from, from + size };
		next = from + size;
		*lowest = from;
	}
	spin_unlock(&growspace_lock, flags);
	return done;
}

void growspace_give(uintptr_t lowest)
{
	uint64_t flags = spin_lock(&growspace_lock);

	for (size_t i = 0; i < MAX_RANGES; i++)
		if (ranges[i].lowest == lowest)
			ranges[i] = (struct range){ 0, 0 };
	spin_unlock(&growspace_lock, flags);
}

bool growspace_map(uintptr_t va)
{
	struct reserved *page = get();

	if (!page)
		return false;
	/* Its table is there: growspace_take() made it. */
	mmu_map(va, virt_to_phys(page), PAGE_SIZE, MAP_DATA);
	if (++count.mapped > count.peak)
		count.peak = count.mapped;
	return true;
}

void growspace_unmap(uintptr_t va, size_t size)
{
	for (uintptr_t end = va + size; va < end; va += PAGE_SIZE) {
		uintptr_t pa = mmu_page_of(va);

		if (!pa)
			continue;
		mmu_unmap(va, PAGE_SIZE);
		put(phys_to_virt(pa));
		count.mapped--;
	}
}
