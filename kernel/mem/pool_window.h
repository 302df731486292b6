/*
 * Addresses for pools whose blocks want pages, or tags, of their own: a window of the address space that
 * is given out once, as a pool lives for ever; only what a pool took that then could not be made comes
 * back. Between two pools lies a page that is never mapped.
 */
#ifndef MEM_POOL_WINDOW_H
#define MEM_POOL_WINDOW_H

#include "arch/mmu.h"
#include "arch/types.h"

/* `pages` in a row, none of them mapped; 0 when there are not as many. */
uintptr_t pool_window_take(size_t pages);

/*
 * For whoever took these, and was then refused what goes behind them: what is mapped there goes back to
 * the page allocator, and the addresses to the window if they are the newest.
 */
void pool_window_give_back(uintptr_t va, size_t pages);

/* Pages of the window that were given out, with one of each pool's that is never mapped. */
size_t pool_window_in_use(void);

/* A fresh page behind va: its address in the linear map. 0: no page, or no translation table. */
uintptr_t pool_window_back(uintptr_t va, enum map_kind kind);

#endif
