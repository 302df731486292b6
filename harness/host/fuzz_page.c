/*
 * mem/page.c: each page is somebody's, once, until it is given back; then nobody's, and hidden, which here
 * is poison: AddressSanitizer sees whoever touches a free page, the allocator included.
 */
#include "host.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "mem/page.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

#define MAX_PAGES 48

struct model {
	uint8_t *pages[MAX_PAGES]; /* in use */
	uint8_t pattern[MAX_PAGES];
	size_t count, total;
	uint8_t *start, *end;
};

static bool hidden(const uint8_t *page)
{
	return __asan_address_is_poisoned(page) && __asan_address_is_poisoned(page + PAGE_SIZE - 1);
}

static void refuse(void *page, const char *why)
{
	require(!page_free(page), "what is no page in use is not taken back");
	require(strcmp(page_refused()->why, why) == 0, "and refused by its name");
	require(page_refused()->now, "and its caller is known");
}

static void give_page(struct model *m)
{
	uint8_t *page = page_alloc();

	require(!page || !hidden(page), "a page given out is there");
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
	require(!page_freed_by((uintptr_t)page), "and was freed by nobody");
	require(page_free(page), "a page in use is freed");
	require(hidden(page), "and hidden");
	require(page_freed_by((uintptr_t)page + 9), "by somebody who is known");
	refuse(page, "double-free");
	require(page_refused()->first == page_freed_by((uintptr_t)page),
		"both call sites are known");
	m->count--;
	m->pages[i] = m->pages[m->count];
	m->pattern[i] = m->pattern[m->count];
}

static void misuse_page(struct model *m, struct choices *c)
{
	refuse(no_memory(), "foreign");
	refuse(m->start, "foreign");
	refuse(m->start - PAGE_SIZE, "foreign");
	refuse(m->end, "foreign");
	if (m->count)
		refuse(m->pages[choose(c, (unsigned int)m->count)] + 1 + choose(c, 256),
		       "misaligned");
}

static size_t blocks_of(const struct model *m)
{
	return ((uintptr_t)m->end - 1) / MMU_BLOCK_SIZE - (uintptr_t)m->start / MMU_BLOCK_SIZE + 1;
}

static void give_run(struct model *m, size_t n)
{
	uint8_t *run = page_alloc_run(n);

	if (!run)
		return;
	require(run >= m->start && run + n * PAGE_SIZE <= m->end, "pages of its own");
	for (size_t i = 0; i < n; i++, run += PAGE_SIZE) {
		require(!hidden(run), "each is there");
		for (size_t k = 0; k < m->count; k++)
			require(run != m->pages[k], "and nobody else's");
		m->pages[m->count] = run;
		m->pattern[m->count] = (uint8_t)((run - m->start) / PAGE_SIZE);
		memset(run, m->pattern[m->count++], PAGE_SIZE);
	}
}

static void play_pages(struct choices *c)
{
	struct model m = { .total = 0 };
	size_t all = 1 + choose(c, MAX_PAGES - 1);

	m.start = aligned_alloc(PAGE_SIZE, all * PAGE_SIZE);
	m.end = m.start + all * PAGE_SIZE;
	fresh = 0;
	free_list = NO_PAGE;
	count.in_use = 0;
	page_init((uintptr_t)m.start, (uintptr_t)m.end);
	/* What the allocator keeps for itself: a page of states, and a table for each block. */
	m.total = all > 1 + blocks_of(&m) ? all - 1 - blocks_of(&m) : 0;
	while (c->left) {
		unsigned int what = choose(c, 8);

		if (what < 4)
			give_page(&m);
		else if (what < 7 && m.count)
			take_page(&m, choose(c, (unsigned int)m.count));
		else if (choose(c, 2))
			misuse_page(&m, c);
		else
			give_run(&m, 1 + choose(c, 7));
		require(page_count().total == m.total && page_count().in_use == m.count, "counts");
	}
	while (m.count)
		take_page(&m, 0);
	while (m.count < m.total)
		give_page(&m);
	give_page(&m);
	free(m.start); /* and its poison */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };

	play_pages(&c);
	return 0;
}
