/*
 * Memory by the page: every page of RAM behind the image, each in use by one owner or free. A free page
 * is unmapped from the linear map, so whoever still uses it faults at the access itself.
 */
#ifndef MEM_PAGE_H
#define MEM_PAGE_H

#include "arch/types.h"
#include "mem/refusal.h"

/*
 * Hand over [start, end), page aligned, mapped. Some of it keeps the state of the rest. Pages that were
 * never given out stay mapped: nobody can have kept a pointer to one.
 */
void page_init(uintptr_t start, uintptr_t end);

/* One page, its contents whatever they were; NULL when none is left. */
void *page_alloc(void);

/* n neighbours that nobody had before, for ever; NULL when there are not as many. */
void *page_alloc_run(size_t n);

/* False, and nothing done, if this is no page in use; page_refused() says why, and who. */
bool page_free(void *page);

/* The last free that was refused: foreign, misaligned or double-free. */
const struct refusal *page_refused(void);

struct page_count {
	size_t total, in_use; /* pages */
};
struct page_count page_count(void);

#endif
