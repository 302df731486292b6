/*
 * A first-fit heap over one range of memory: blocks in address order, split when they are larger than
 * asked for, joined with free neighbours when they are given back. It counts the blocks that a search
 * looks at, as that is what makes its cost hard to predict.
 */
#ifndef MEM_HEAP_H
#define MEM_HEAP_H

#include "arch/types.h"
#include "mem/refusal.h"

#define HEAP_HEADER_BYTES 16
#define HEAP_ALIGN 16

#define HEAP_MAX_BYTES 0xfffffff0UL /* sizes are 32 bits in a record */

/* What is known of the block that begins at one place. GDB's `hw heap` reads it. */
struct heap_record {
	uint32_t size_and_used; /* bytes after the header, bit 0: in use; 0: no block begins here */
	int32_t owner; /* return address of who took it last, less heap_alloc's; 0: nobody */
};

struct heap {
	uintptr_t base;
	size_t size; /* bytes, headers included */
	size_t allocs, frees, failures;
	size_t steps;		     /* blocks looked at by the last heap_alloc() */
	struct refusal refused;	     /* the last free, or alloc over a corrupt header, that was */
	struct heap_record *records; /* one for each HEAP_ALIGN bytes */
};

/*
 * memory is HEAP_ALIGN-aligned; size a multiple of it, more than one header, and at most HEAP_MAX_BYTES. False:
 * they are not, memory is NULL, or the early heap has not the size / 2 bytes of records. Then the heap is empty:
 * it gives nothing and takes nothing.
 */
bool heap_init(struct heap *h, void *memory, size_t size);

/*
 * At least size bytes, aligned to HEAP_ALIGN; NULL when no block is large enough, or when a header on the way
 * to it was written over: then h->refused says so.
 */
void *heap_alloc(struct heap *h, size_t size);

/*
 * FOREIGN: not of this heap, or not aligned. INSIDE: of a block in use, but not its start. DOUBLE_FREE:
 * free already, whatever has become of the block since. CORRUPT: a block, but its header or a neighbour's was
 * written over.
 */
enum heap_error { HEAP_OK, HEAP_FOREIGN, HEAP_INSIDE, HEAP_DOUBLE_FREE, HEAP_CORRUPT };

/* Anything but HEAP_OK: nothing was done, and h->refused says why and who. NULL is foreign. */
enum heap_error heap_free(struct heap *h, void *memory);

/* Is every header as it should be? False: h->refused says whose is not. */
bool heap_check(struct heap *h);

struct heap_census {
	size_t blocks, free_blocks;
	size_t total_free, largest_free; /* bytes that can be asked for */
};
struct heap_census heap_census(const struct heap *h);

/* The smallest size above `above` that a free block has, and how many have it; 0: there is none. */
size_t heap_next_size(const struct heap *h, size_t above, size_t *blocks);

#endif
