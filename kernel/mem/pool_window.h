/*
 * Addresses for pools whose blocks want pages, or tags, of their own: a window of the address space that
 * is given out once and never taken back, as a pool lives for ever. Between two pools lies a page that
 * is never mapped.
 */
#ifndef MEM_POOL_WINDOW_H
#define MEM_POOL_WINDOW_H

#include "arch/mmu.h"
#include "arch/types.h"

/* `pages` in a row, none of them mapped; 0 when there are not as many. */
uintptr_t pool_window_take(size_t pages);

/* A fresh page behind va: its address in the linear map. 0: no page, or no translation table. */
uintptr_t pool_window_back(uintptr_t va, enum map_kind kind);

#endif
