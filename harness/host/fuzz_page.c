/*
 * mem/page.c: the bump allocator hands out what is behind the last piece, aligned, or nothing; the page
 * allocator each page once, until it is given back.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "mem/page.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

#define EARLY_HEAP 65536
#define MAX_PAGES 48

/* Two symbols with the heap between them, as kernel.ld makes them. */
__asm__(".pushsection .bss\n"
	".balign 4096\n"
	".globl __early_heap_start, __early_heap_end\n"
	"__early_heap_start: .skip 65536\n"
	"__early_heap_end:\n"
	".popsection\n");

static void play_bump(struct choices *c)
{
	uintptr_t start = (uintptr_t)__early_heap_start, end = (uintptr_t)__early_heap_end;
	uintptr_t at = start;

	require(end - start == EARLY_HEAP, "the stand-in's two symbols");
	bump = 0;
	last = 0;
	while (c->left) {
		size_t align = 1UL << choose(c, 64);
		size_t size = choose(c, 2) ? choose_number(c) : choose(c, 256);
		uintptr_t is = (uintptr_t)kmem_alloc_aligned(size, align);
		unsigned __int128 should = ((unsigned __int128)at + align - 1) / align * align;

		if (should + size > end) {
			require(!is, "what does not fit is refused");
		} else {
			require(is == should, "the next aligned address");
			kmem_give_back((void *)is);
			require((uintptr_t)kmem_alloc_aligned(size, align) == is,
				"the newest piece goes back");
			at = is + size;
		}
	}
}

struct model {
	uint8_t *pages[MAX_PAGES]; /* in use */
	uint8_t pattern[MAX_PAGES];
	size_t count, total;
	uint8_t *start, *end;
};

static void give_page(struct model *m)
{
	uint8_t *page = page_alloc();

	require(!page == (m->count == m->total), "a page as long as there is one");
	if (!page)
		return;
	require(page >= m->start && page < m->end && (uintptr_t)page % PAGE_SIZE == 0, "a page");
	for (size_t i = 0; i < m->count; i++)
		require(page != m->pages[i], "that is nobody else's");
	m->pages[m->count] = page;
	m->pattern[m->count] = (uint8_t)((page - m->start) / PAGE_SIZE);
	memset(page, m->pattern[m->count], PAGE_SIZE);
	m->count++;
}

static void take_page(struct model *m, size_t i)
{
	uint8_t *page = m->pages[i];

	for (size_t n = 0; n < PAGE_SIZE; n += 61)
		require(page[n] == m->pattern[i], "a page in use keeps its contents");
	require(page_free(page), "a page in use is freed");
	require(!page_free(page), "once");
	m->count--;
	m->pages[i] = m->pages[m->count];
	m->pattern[i] = m->pattern[m->count];
}

static void misuse_page(struct model *m, struct choices *c)
{
	require(!page_free(no_memory()), "NULL is no page");
	require(!page_free(m->start), "nor is where the states are");
	require(!page_free(m->start - PAGE_SIZE) && !page_free(m->end), "nor is what is outside");
	if (m->count)
		require(!page_free(m->pages[choose(c, (unsigned int)m->count)] + 1 +
				   choose(c, 256)),
			"nor is the middle of one");
}

static void play_pages(struct choices *c)
{
	struct model m = { .total = 0 };
	size_t pages = 1 + choose(c, MAX_PAGES - 1);

	m.start = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
	m.end = m.start + pages * PAGE_SIZE;
	m.total = pages - 1; /* the first holds the states */
	free_pages = NULL;
	count.in_use = 0;
	page_init((uintptr_t)m.start, (uintptr_t)m.end);
	while (c->left) {
		unsigned int what = choose(c, 8);

		if (what < 4)
			give_page(&m);
		else if (what < 7 && m.count)
			take_page(&m, choose(c, (unsigned int)m.count));
		else
			misuse_page(&m, c);
		require(page_count().total == m.total && page_count().in_use == m.count, "counts");
	}
	while (m.count)
		take_page(&m, 0);
	while (m.count < m.total)
		give_page(&m);
	give_page(&m);
	free(m.start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };

	if (choose(&c, 2))
		play_bump(&c);
	else
		play_pages(&c);
	return 0;
}
