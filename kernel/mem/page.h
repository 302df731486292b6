/*
 * Memory by the page, and before that by the bump: the early heap (1 MiB inside the image, never given
 * back), then every page of RAM behind the image.
 */
#ifndef MEM_PAGE_H
#define MEM_PAGE_H

#include "arch/types.h"

/* From the early heap; align is a power of two, sizes in bytes. NULL when it does not fit. */
void *kmem_alloc_aligned(size_t size, size_t align);

/*
 * For whoever took a piece, and was then refused the next: the newest piece goes back. Any other, and
 * NULL, is let be: what came behind it holds it where it is.
 */
void kmem_give_back(void *memory);

/* Bytes of the early heap that are taken, what alignment cost included. */
size_t kmem_used(void);

/* Hand over [start, end), page aligned, mapped. Some of it keeps the state of the rest. */
void page_init(uintptr_t start, uintptr_t end);

/* One page, its contents whatever they were; NULL when none is left. */
void *page_alloc(void);

/* False, and nothing done, if this is no page in use: a double, foreign or misaligned free. */
bool page_free(void *page);

struct page_count {
	size_t total, in_use; /* pages */
};
struct page_count page_count(void);

#endif
