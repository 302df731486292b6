/* See page.h. */
#include "mem/page.h"

#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "base/ledger.h"
#include "report/inject.h"
#include "base/protect.h"
#include "report/upcall.h"

INJECT_SITE(page, alloc, page_alloc, 0, "no page is left")
INJECT_SITE(page, run, page_alloc_run, 0, "there are not as many neighbours")

#define NO_PAGE UINT32_MAX

enum page_state { PAGE_FREE, PAGE_USED };

/* What is known of a page. Its own memory holds nothing of it, as a free page cannot be read. */
struct page {
	uintptr_t freed_by; /* return address of the last page_free(), 0: none yet */
	uint32_t next;	    /* index of the next free page, or NO_PAGE */
	uint32_t state;	    /* enum page_state */
};

static struct page *pages; /* valid up to fresh */
static uintptr_t first;	   /* address of page 0 */
static uint32_t fresh;	   /* pages from here on were never given out, and are in no list */
static uint32_t free_list = NO_PAGE;
static struct page_count count;
static struct refusal refused;

/* One page for each block of the linear map: its table, should one of its pages be hidden. */
static uintptr_t tables, blocks_start;

void page_init(uintptr_t start, uintptr_t end)
{
	size_t all = (end - start) / PAGE_SIZE;
	size_t blocks;

	blocks_start = ALIGN_DOWN(start, MMU_BLOCK_SIZE);
	blocks = (ALIGN_UP(end, MMU_BLOCK_SIZE) - blocks_start) / MMU_BLOCK_SIZE;
	pages = (struct page *)start;
	tables = start + ALIGN_UP(all * sizeof(struct page), PAGE_SIZE);
	first = tables + blocks * PAGE_SIZE;
	count.total = first < end ? (end - first) / PAGE_SIZE : 0;
}

static uintptr_t address_of(uint32_t index)
{
	return first + index * PAGE_SIZE;
}

static void hide(uintptr_t page)
{
	size_t block = (page - blocks_start) / MMU_BLOCK_SIZE;

	if (protected(PROTECT_PAGE_CHECK))
		mmu_hide_page(page, (void *)(tables + block * PAGE_SIZE));
}

static void show(uintptr_t page)
{
	if (protected(PROTECT_PAGE_CHECK))
		mmu_show_page(page);
}

static uint32_t take(void)
{
	uint32_t index = free_list;

	if (index != NO_PAGE) {
		free_list = pages[index].next;
		show(address_of(index));
	} else if (fresh < count.total) {
		index = fresh++;
		pages[index].freed_by = 0;
	} else {
		return NO_PAGE;
	}
	pages[index].state = PAGE_USED;
	count.in_use++;
	return index;
}

/* The bug of an allocator that trusts its callers: the page behind the last is nobody's. */
static void *out_of_pages(void)
{
	return protected(PROTECT_PAGE_CHECK) ? NULL : (void *)address_of(fresh);
}

void *page_alloc(void)
{
	uint64_t flags;
	uint32_t index;
	void *page;

	if (inject(&page_alloc_site, PAGE_SIZE))
		return NULL;
	flags = irq_save();
	index = take();
	irq_restore(flags);
	page = index == NO_PAGE ? out_of_pages() : (void *)address_of(index);
	ledger_took(&page_alloc_site, page, PAGE_SIZE);
	return page;
}

void *page_alloc_run(size_t n)
{
	uint64_t flags;
	uint32_t index;
	void *run;

	if (inject(&page_run_site, n * PAGE_SIZE))
		return NULL;
	flags = irq_save();
	index = fresh;
	run = n <= count.total - fresh ? (void *)address_of(index) : NULL;
	for (; run && fresh < index + n; fresh++)
		pages[fresh] = (struct page){ .state = PAGE_USED };
	if (run)
		count.in_use += n;
	irq_restore(flags);
	ledger_took(&page_run_site, run, n * PAGE_SIZE);
	return run;
}

/* The page that holds this address, NULL if it is none that was ever given out. */
static struct page *page_at(uintptr_t address)
{
	uintptr_t offset = address - first;

	return offset / PAGE_SIZE < fresh ? &pages[offset / PAGE_SIZE] : NULL;
}

static const char *wrong_with(uintptr_t address)
{
	const struct page *p = page_at(address);

	if (!p)
		return "foreign";
	if (address % PAGE_SIZE)
		return "misaligned";
	/* Off: a page that is free goes to the list a second time, and then to two owners. */
	return p->state == PAGE_FREE && protected(PROTECT_PAGE_CHECK) ? "double-free" : NULL;
}

static void put_back(struct page *p, uintptr_t caller)
{
	uint32_t index = (uint32_t)(p - pages);

	*p = (struct page){ .freed_by = caller, .next = free_list, .state = PAGE_FREE };
	free_list = index;
	count.in_use--;
	hide(address_of(index));
}

bool page_free(void *page)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	uint64_t flags = irq_save();
	struct page *p = page_at((uintptr_t)page);
	const char *why = wrong_with((uintptr_t)page);

	if (why) {
		refused =
			(struct refusal){ .why = why, .now = caller, .first = p ? p->freed_by : 0 };
	} else {
		ledger_gave(&page_alloc_site, page);
		put_back(p, caller);
	}
	irq_restore(flags);
	return !why;
}

const struct refusal *page_refused(void)
{
	return &refused;
}

uintptr_t page_freed_by(uintptr_t address)
{
	const struct page *p = page_at(address);

	return p && p->state == PAGE_FREE ? p->freed_by : 0;
}

struct page_count page_count(void)
{
	return count;
}
