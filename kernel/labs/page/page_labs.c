/* Page labs: none left, given back wrongly, used after. scenarios/test_page.py is the other half. */
#include "labs/lib/leak.h"
#include "mem/page.h"

#include "lab/lab.h"
#include "labs/lib/victim.h"
#include "report/report.h"

/* A list through the pages themselves: there may be millions. */
struct taken {
	struct taken *next;
};

static struct taken *take_all(size_t left)
{
	struct taken *list = NULL;

	while (left--) {
		struct taken *page = page_alloc();

		if (!page)
			panic("early-refusal");
		page->next = list;
		list = page;
	}
	return list;
}

static void give_all(struct taken *list)
{
	while (list) {
		struct taken *next = list->next;

		if (!page_free(list))
			panic("right-free-refused");
		list = next;
	}
}

LAB(page, exhaust, "every page of RAM is taken, one more refused, and all come back", NO_PARAMS)
{
	struct page_count before = page_count();
	struct taken *list = take_all(before.total - before.in_use);
	void *more;

	report("[page-lab] taken all=%s", page_count().in_use == before.total ? "yes" : "no");
	report("[page-lab] asking for one more");
	more = page_alloc();
	report("[page-lab] refused=%s", more ? "no" : "yes");
	if (more)
		end("survived");
	give_all(list);
	report("[page-lab] given back=%s",
	       page_count().in_use == before.in_use ? "all" : "not-all");
	list = take_all(1);
	give_all(list);
	leak_check(page_count().in_use != before.in_use, "pages");
	end("caught by=page-check");
}

/* Out of line, so that a refusal and a fault name it. */
__attribute__((noinline)) static void first_free(void *page)
{
	if (!page_free(page))
		panic("right-free-refused");
}

__attribute__((noinline)) static void second_free(void *page)
{
	if (page_free(page)) {
		void *one = page_alloc();

		report("[page-lab] two owners of one page=%s", page_alloc() == one ? "yes" : "no");
		end("survived");
	}
	refusal_report("page", page_refused());
}

LAB(page, double_free, "a page is given back twice", NO_PARAMS)
{
	void *page = page_alloc();

	if (!page)
		panic("no-page");
	first_free(page);
	report("[page-lab] freeing it again");
	second_free(page);
	end("caught by=page-check");
}

/* Nothing that is no page is ever taken back, whatever the switches say. */
LAB(page, bad_free, "what is no page is given back: middles, strangers, NULL", NO_PARAMS)
{
	static char elsewhere[2 * PAGE_SIZE];
	char *page = page_alloc();
	void *wrong[] = { page + 8, (void *)ALIGN_UP((uintptr_t)elsewhere, PAGE_SIZE), NULL };

	if (!page)
		panic("no-page");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		second_free(wrong[i]);
	first_free(page);
}

static volatile uint64_t *freed_page(void)
{
	volatile uint64_t *page = page_alloc();

	if (!page)
		panic("no-page");
	*page = 0x5ec2e7;
	first_free((void *)page);
	return page;
}

static void reading_victim(__attribute__((unused)) void *unused)
{
	volatile uint64_t *page = freed_page();
	uint64_t value;

	report("[page-lab] reading a page that is free");
	FAULT_SITE(page_read, "ldr xzr, [%0]", "r"(page));
	value = *page;
	report("[page-lab] read it : %s", value == 0x5ec2e7 ? "its old contents" : "others");
}

static void writing_victim(__attribute__((unused)) void *unused)
{
	volatile uint64_t *page = freed_page();

	report("[page-lab] writing to a page that is free");
	FAULT_SITE(page_write, "str xzr, [%0]", "r"(page));
	report("[page-lab] wrote to it");
}

#define WRITE_PARAM(P) P(write, 0, 0, 1, "1: write to it; 0: read")

LAB(page, use_after_free, "a page is used after it was given back", WRITE_PARAM)
{
	victim_run(a->write ? writing_victim : reading_victim, NULL, 16 * KiB);
}
