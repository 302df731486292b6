/*
 * A first-fit heap over one range of memory: blocks in address order, split when they are larger than
 * asked for, joined with free neighbours when they are given back. It counts the blocks that a search
 * looks at, as that is what makes its cost hard to predict.
 */
#ifndef MEM_HEAP_H
#define MEM_HEAP_H

#include "arch/types.h"

#define HEAP_HEADER_BYTES 16
#define HEAP_ALIGN 16

struct heap {
	uintptr_t base;
	size_t size; /* bytes, headers included */
	size_t allocs, frees, failures;
	size_t steps; /* blocks looked at by the last heap_alloc() */
};

/* memory is HEAP_ALIGN-aligned; size a multiple of it, and more than one header. */
void heap_init(struct heap *h, void *memory, size_t size);

/* At least size bytes, aligned to HEAP_ALIGN; NULL when no block is large enough. */
void *heap_alloc(struct heap *h, size_t size);

enum heap_error { HEAP_OK, HEAP_FOREIGN, HEAP_DOUBLE_FREE, HEAP_CORRUPT };

/* Anything but HEAP_OK: nothing was done. NULL is foreign. */
enum heap_error heap_free(struct heap *h, void *memory);

struct heap_census {
	size_t blocks, free_blocks;
	size_t total_free, largest_free; /* bytes that can be asked for */
};
struct heap_census heap_census(const struct heap *h);

#endif
