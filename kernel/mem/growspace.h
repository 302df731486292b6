/*
 * What stacks that grow are made of: addresses in GROW_WINDOW, and pages from a reserve that is filled
 * beforehand, as a fault handler cannot wait for one and must not allocate.
 *
 * Addresses come one after the other, round and round, so that the ones a stack has left stay unmapped
 * as long as can be. A page of guard lies below each range, and below what comes next.
 */
#ifndef MEM_GROWSPACE_H
#define MEM_GROWSPACE_H

#include "arch/types.h"
#include "base/spinlock.h"

/* Guards the reserve. In the header because a lab grows a stack while it holds it. */
extern struct spinlock growspace_lock;

/* A lab's own code where pages are chosen and the list still has them, under the lock; NULL: none. */
extern void (*growspace_hook)(void);

/* Until `pages` are free in the reserve, or no page is left; how many are then. Not in a handler. */
size_t growspace_fill(size_t pages);

/* Back to the page allocator what is free in the reserve. */
void growspace_drain(void);

struct growspace_count {
	size_t free;	     /* pages in the reserve */
	size_t mapped, peak; /* pages that stacks have, now and at most */
};
struct growspace_count growspace_count(void);
/* Let the peak begin anew. */
void growspace_reset_peak(void);

/*
 * `size` bytes of addresses (a multiple of the page), and *lowest, the lowest byte of them, with the
 * translation tables they need, so that to map a page cannot fail later for want of one. Nothing is
 * mapped. False: all are taken, or no table is left.
 */
bool growspace_take(size_t size, uintptr_t *lowest);
void growspace_give(uintptr_t lowest);

/* Where the first page of the reserve and the first range are noted: for a lab that stops a CPU there. */
struct growspace_places {
	uintptr_t reserve, ranges;
};
struct growspace_places growspace_places(void);

/* How many such ranges are taken. */
size_t growspace_ranges(void);

/*
 * Pages of the reserve at [va, va + size), their contents whatever they were. False: it has not so many, and
 * nothing is mapped. Any context.
 */
bool growspace_map(uintptr_t va, size_t size);

/* Unmap what is mapped in the range, its pages to the reserve. Any context. */
void growspace_unmap(uintptr_t va, size_t size);

#endif
