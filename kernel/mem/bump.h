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

/*
 * For whoever took a piece, and was then refused the next: the newest piece goes back. Any other, and
 * NULL, is let be: what came behind it holds it where it is.
 */
void kmem_give_back(void *memory);

/* Bytes of the early heap that are taken, what alignment cost included. */
size_t kmem_used(void);

/* The early heap goes on at memory, and what was left of it is lost: for labs that need more of it. */
void kmem_move(void *memory, size_t size);

#endif
