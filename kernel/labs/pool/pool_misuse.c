/*
 * Pool labs: blocks given back that must not be. Everybody does something legal first; what nobody
 * refuses is followed to what comes of it.
 */
#include "lab/lab.h"
#include "labs/pool/pool_kinds.h"
#include "mem/pool.h"
#include "report/report.h"

#define BLOCKS 8
#define BLOCK_BYTES 64

static struct mem_pool parts;

static void make_parts(void)
{
	if (!pool_init(&parts, "parts", BLOCK_BYTES, BLOCKS))
		panic("no-pool");
}

/* Two functions, so that the two call sites have two names. */
__attribute__((noinline)) static enum pool_error first_owner_frees(void *block)
{
	return pool_free(&parts, block);
}

__attribute__((noinline)) static enum pool_error second_owner_frees(void *block)
{
	return pool_free(&parts, block);
}

#define DOUBLE_FREE_PARAMS(P) P(between, 0, 0, 4, "other blocks that are freed between the two")

LAB(pool, double_free, "two owners free the same block", DOUBLE_FREE_PARAMS)
{
	void *block, *others[4] = { NULL }, *a_block, *again = NULL;

	make_parts();
	block = take_block(&parts);
	for (uint64_t i = 0; i < a->between; i++)
		others[i] = take_block(&parts);
	if (first_owner_frees(block) != POOL_OK)
		panic("no-free");
	for (uint64_t i = 0; i < a->between; i++)
		pool_free(&parts, others[i]);
	report("[pool-lab] freeing a block again");
	second_owner_frees(block);
	end_if_found(&parts);
	/* It is in the list twice: with the others between. */
	a_block = pool_alloc(&parts);
	for (uint64_t i = 0; i <= a->between; i++)
		again = pool_alloc(&parts);
	report("[pool-lab] two owners of one block=%s", a_block == again ? "yes" : "no");
	end("survived");
}

enum foreign { FOREIGN_NO_POOL, FOREIGN_MISALIGNED, FOREIGN_OTHER_POOL };

#define FOREIGN_FREE_PARAMS(P)                                                                     \
	P(what, FOREIGN_NO_POOL, FOREIGN_NO_POOL, FOREIGN_OTHER_POOL,                              \
	  "0: memory of no pool; 1: the middle of a block; 2: another pool's block")

LAB(pool, foreign_free, "a pool is given what it never gave out", FOREIGN_FREE_PARAMS)
{
	static struct mem_pool others;
	static uint64_t buffer[BLOCK_BYTES / sizeof(uint64_t)] __attribute__((aligned(16)));
	char *block, *wrong[3], *got;

	make_parts();
	if (!pool_init(&others, "others", BLOCK_BYTES, BLOCKS))
		panic("no-pool");
	block = take_block(&parts);
	wrong[FOREIGN_NO_POOL] = (char *)buffer;
	wrong[FOREIGN_MISALIGNED] = block + 16;
	wrong[FOREIGN_OTHER_POOL] = take_block(&others);
	report("[pool-lab] freeing what is no block of this pool");
	pool_free(&parts, wrong[a->what]);
	end_if_found(&parts);
	got = pool_alloc(&parts);
	report("[pool-lab] given out as a block=%s", got == wrong[a->what] ? "yes" : "no");
	end("survived");
}
