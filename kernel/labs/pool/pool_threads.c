/*
 * Pool labs: a thread needs an object of the thread pool, addresses in the stack window, and pages. Which of
 * the three runs dry first is a matter of sizes; each time the creation must fail and keep nothing, and
 * one thread that ends must make room for one.
 */
#include "arch/virt.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/leak.h"
#include "mem/page.h"
#include "mem/pool.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_SIZE("thread:tenant", 4 * KiB, "unless stack= says more")

struct hoarded_page {
	struct hoarded_page *next;
};

struct census {
	size_t objects, pages;
};

static struct thread *tenants[MAX_THREADS];
static bool tenants_may_end;

static struct census take_census(void)
{
	return (struct census){ thread_pool.in_use, page_count().in_use };
}

static void tenant(__attribute__((unused)) void *unused)
{
	while (!READ_ONCE(tenants_may_end))
		thread_sleep(1);
}

/* Take pages until only `left` are. */
static struct hoarded_page *hoard(size_t left)
{
	struct hoarded_page *pages = NULL;

	while (page_count().total - page_count().in_use > left) {
		struct hoarded_page *page = page_alloc();

		if (!page)
			panic("pages-miscounted");
		page->next = pages;
		pages = page;
	}
	return pages;
}

static void give_back(struct hoarded_page *page)
{
	while (page) {
		struct hoarded_page *next = page->next;

		page_free(page);
		page = next;
	}
}

/* What the next thread would lack. */
static const char *what_is_dry(size_t stack)
{
	if (thread_pool.in_use == thread_pool.capacity)
		return "objects";
	return page_count().total - page_count().in_use < stack / PAGE_SIZE ? "pages" : "addresses";
}

/* Threads until one is refused, which must leave everything as it was. */
static size_t fill(size_t stack)
{
	size_t n = 0;

	for (;;) {
		struct census before = take_census(), after;

		tenants[n] = thread_create("tenant", tenant, NULL, stack);
		if (tenants[n]) {
			n++;
			continue;
		}
		after = take_census();
		report("[pool-lab] refused after=%lu first=%s kept_objects=%lu kept_pages=%lu", n,
		       what_is_dry(stack), after.objects - before.objects,
		       after.pages - before.pages);
		if (after.objects != before.objects || after.pages != before.pages)
			panic("refused-and-kept");
		return n;
	}
}

#define THREADS_PARAMS(P)                                                                          \
	P(stack, 4 * KiB, 4 * KiB, 4 * MiB, "bytes of each thread's stack, in whole pages")        \
	P(pages, 0, 0, 4096, "pages that there are for them; 0: all of RAM")

LAB(pool, threads, "threads until their objects, pages or addresses run dry", THREADS_PARAMS)
{
	size_t stack = ALIGN_DOWN(a->stack, PAGE_SIZE);
	struct hoarded_page *hoarded = a->pages ? hoard(a->pages) : NULL;
	struct census before = take_census(), after;
	size_t n = fill(stack);

	if (!n)
		panic("no-thread-at-all");
	WRITE_ONCE(tenants_may_end, true);
	thread_join(tenants[n - 1], NULL);
	tenants[n - 1] = thread_create("tenant", tenant, NULL, stack);
	report("[pool-lab] one ended, room for one=%s", tenants[n - 1] ? "yes" : "no");
	if (!tenants[n - 1])
		panic("no-recovery");
	while (n)
		thread_join(tenants[--n], NULL);
	after = take_census();
	report("[pool-lab] all ended objects=%s pages=%s",
	       after.objects == before.objects ? "back" : "lost",
	       after.pages == before.pages ? "back" : "lost");
	give_back(hoarded);
	pool_report(&thread_pool);
	leak_check(after.objects != before.objects, "threads");
	leak_check(after.pages != before.pages, "pages");
}
