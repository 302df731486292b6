/*
 * Pool labs: a free block is written to, and the free list with it. The pool finds that the link is not
 * its own; with protect=-pool-link it follows it, and the wild access comes two allocations later.
 */
#include "core/lab.h"
#include "core/report.h"
#include "labs/pool_kinds.h"
#include "mem/pool.h"

#define BLOCKS 8
#define BLOCK_BYTES 64
#define NO_LINK 0x5ca1ab1ebadb10c5UL /* odd, and in no half of the address space */

/* Out of line, so that whoever looks for the culprit finds a function of this name. */
__attribute__((noinline, noclone)) static void write_after_free(volatile uint64_t *block)
{
	*block = NO_LINK;
}

LAB(pool, freelist_smash, "a freed block's link is overwritten, and the block taken", NO_PARAMS)
{
	static struct mem_pool smashed;
	uint64_t *block;

	if (!pool_init(&smashed, "smashed", BLOCK_BYTES, BLOCKS))
		panic("no-pool");
	block = take_block(&smashed);
	pool_free(&smashed, block);
	report("[pool-lab] writing into a free block");
	write_after_free(block);
	report("[pool-lab] taking it and one more");
	if (!pool_alloc(&smashed)) {
		/* What lay behind it is lost, and nothing is given out that might be somebody's. */
		if (pool_alloc(&smashed))
			panic("smashed-list-was-followed");
		end_if_found(&smashed);
	}
	pool_alloc(&smashed);
	end("survived");
}
