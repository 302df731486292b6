/*
 * Pool labs: a free block is written to, and the free list with it. The pool finds that the link is not
 * its own. With protect=-pool-link it follows it: nowhere, and the wild access comes two allocations later;
 * or to a block that is in use, and then that has two owners.
 */
#include "lab/lab.h"
#include "labs/pool/pool_kinds.h"
#include "mem/pool.h"
#include "report/report.h"

#define BLOCKS 8
#define BLOCK_BYTES 64
#define NO_LINK 0x5ca1ab1ebadb10c5UL /* odd, and in no half of the address space */

/* Out of line, so that whoever looks for the culprit finds a function of this name. */
__attribute__((noinline)) static void write_after_free(volatile uint64_t *block, uint64_t link)
{
	*block = link;
}

#define SMASH_PARAMS(P)                                                                            \
	P(leads, 0, 0, 1, "where the link leads; 0: nowhere; 1: to a block in use")                \
	P(back, 0, 0, 1, "1: it is taken, and another given back, which has the link then")

LAB(pool, freelist_smash, "a freed block's link is overwritten, and the block taken", SMASH_PARAMS)
{
	static struct mem_pool smashed;
	uint64_t *used, *block, *first, *second;

	if (!pool_init(&smashed, "smashed", BLOCK_BYTES, BLOCKS))
		panic("no-pool");
	used = take_block(&smashed);
	for (size_t i = 0; i < BLOCK_BYTES / sizeof(*used); i++)
		used[i] = i;
	block = take_block(&smashed);
	pool_free(&smashed, block);
	report("[pool-lab] writing into a free block");
	write_after_free(block, a->leads ? (uint64_t)used : NO_LINK);
	if (a->back && pool_alloc(&smashed))
		pool_free(&smashed, used);
	report("[pool-lab] taking it and one more");
	first = pool_alloc(&smashed);
	second = pool_alloc(&smashed);
	/* What lay behind it is lost, and nothing is given out that might be somebody's. */
	if (!first && second)
		panic("smashed-list-was-followed");
	end_if_found(&smashed);
	report("[pool-lab] two owners of one block=%s", second == used ? "yes" : "no");
	end("survived");
}
