/* The bump allocator and the page allocator. See page.h. */
#include "mem/page.h"

#include "arch/sysreg.h"
#include "core/ledger.h"

LINKER_SYMBOL(__early_heap_start);
LINKER_SYMBOL(__early_heap_end);

INJECT_SITE(kmem, alloc, kmem_alloc_aligned, 0, "the early heap is full", .for_good = true)
INJECT_SITE(page, alloc, page_alloc, 0, "no page is left")

static uintptr_t bump;
static uintptr_t last, before_last; /* the newest piece, and where bump stood before it */

void *kmem_alloc_aligned(size_t size, size_t align)
{
	uintptr_t heap_end = (uintptr_t)__early_heap_end;
	void *memory = NULL;
	uint64_t flags;
	uintptr_t at;

	if (inject(&kmem_alloc_site, size))
		return NULL;
	flags = irq_save();
	at = ALIGN_UP(bump ? bump : (uintptr_t)__early_heap_start, align);
	/* `at` may have wrapped, and at + size too: only differences are compared. */
	if (at >= (uintptr_t)__early_heap_start && at <= heap_end && size <= heap_end - at) {
		before_last = bump;
		last = at;
		bump = at + size;
		memory = (void *)at;
	}
	irq_restore(flags);
	ledger_took(&kmem_alloc_site, memory, size);
	return memory;
}

void kmem_give_back(void *memory)
{
	uint64_t flags = irq_save();

	if (memory && (uintptr_t)memory == last) {
		ledger_gave(&kmem_alloc_site, memory);
		bump = before_last;
		last = 0;
	}
	irq_restore(flags);
}

size_t kmem_used(void)
{
	return bump ? bump - (uintptr_t)__early_heap_start : 0;
}

enum page_state { PAGE_FREE, PAGE_USED };

/* A free page holds the link to the next. */
struct free_page {
	struct free_page *next;
};

static uintptr_t first; /* address of page 0 */
static uint8_t *states; /* enum page_state, one byte a page */
static struct free_page *free_pages;
static uintptr_t fresh; /* pages from here on were never given out, and are in no list */
static struct page_count count;

void page_init(uintptr_t start, uintptr_t end)
{
	size_t pages = (end - start) / PAGE_SIZE;

	states = (uint8_t *)start;
	first = start + ALIGN_UP(pages, PAGE_SIZE);
	fresh = first;
	count.total = (end - first) / PAGE_SIZE;
	for (size_t i = 0; i < count.total; i++)
		states[i] = PAGE_FREE;
}

static uintptr_t take(void)
{
	uintptr_t page = (uintptr_t)free_pages;

	if (page) {
		free_pages = free_pages->next;
	} else if (fresh < first + count.total * PAGE_SIZE) {
		page = fresh;
		fresh += PAGE_SIZE;
	}
	return page;
}

void *page_alloc(void)
{
	uint64_t flags;
	uintptr_t page;

	if (inject(&page_alloc_site, PAGE_SIZE))
		return NULL;
	flags = irq_save();
	page = take();
	if (page) {
		states[(page - first) / PAGE_SIZE] = PAGE_USED;
		count.in_use++;
	}
	irq_restore(flags);
	ledger_took(&page_alloc_site, (void *)page, PAGE_SIZE);
	return (void *)page;
}

static bool in_use(uintptr_t page)
{
	uintptr_t offset = page - first;

	return offset < count.total * PAGE_SIZE && offset % PAGE_SIZE == 0 &&
	       states[offset / PAGE_SIZE] == PAGE_USED;
}

bool page_free(void *page)
{
	uint64_t flags = irq_save();
	bool right = in_use((uintptr_t)page);

	if (right) {
		ledger_gave(&page_alloc_site, page);
		states[((uintptr_t)page - first) / PAGE_SIZE] = PAGE_FREE;
		*(struct free_page *)page = (struct free_page){ free_pages };
		free_pages = page;
		count.in_use--;
	}
	irq_restore(flags);
	return right;
}

struct page_count page_count(void)
{
	return count;
}
