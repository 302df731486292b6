/*
 * Memory by the bump: a range handed out from its start to its end, never given back. The early heap is
 * one, 1 MiB inside the image: what is made once and lives for ever comes from there.
 */
#ifndef MEM_BUMP_H
#define MEM_BUMP_H

#include "arch/types.h"

struct bump {
	uintptr_t at, end; /* the next byte to hand out, and the first behind the range */
};

/*
 * size bytes (0 is one of them: an address, and nothing behind it), aligned. NULL, and nothing taken, when
 * they do not fit, whatever their sum with an address wraps to, or when align is no power of two.
 */
void *bump_alloc(struct bump *b, size_t size, size_t align);

/* The same from the early heap. */
void *kmem_alloc_aligned(size_t size, size_t align);

/* The early heap goes on at memory, and what was left of it is lost: for labs that need more of it. */
void kmem_move(void *memory, size_t size);

#endif
