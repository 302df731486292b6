/* The bump allocator and the page allocator. See page.h. */
#include "mem/page.h"

#include "arch/sysreg.h"

LINKER_SYMBOL(__early_heap_start);
LINKER_SYMBOL(__early_heap_end);

static uintptr_t bump;

void *kmem_alloc_aligned(size_t size, size_t align)
{
	uint64_t flags = irq_save();
	uintptr_t heap_end = (uintptr_t)__early_heap_end;
	uintptr_t at = ALIGN_UP(bump ? bump : (uintptr_t)__early_heap_start, align);
	void *memory = NULL;

	/* `at` may have wrapped, and at + size too: only differences are compared. */
	if (at >= (uintptr_t)__early_heap_start && at <= heap_end && size <= heap_end - at) {
		bump = at + size;
		memory = (void *)at;
	}
	irq_restore(flags);
	return memory;
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
	uint64_t flags = irq_save();
	uintptr_t page = take();

	if (page) {
		states[(page - first) / PAGE_SIZE] = PAGE_USED;
		count.in_use++;
	}
	irq_restore(flags);
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
