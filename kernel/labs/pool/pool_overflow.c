/*
 * Pool labs: an owner writes past its block. Between blocks that lie one behind the other are zones that
 * only the pool looks at: when the block is freed, or when pool_check() walks the whole pool.
 */
#include "lab/lab.h"
#include "labs/pool/pool_kinds.h"
#include "mem/pool.h"
#include "report/report.h"

#define BLOCKS 8
#define BLOCK_BYTES 64
#define PATTERN 0x2a
#define WRITTEN 0x77

static struct mem_pool parts;
static uint8_t *blocks[3]; /* neighbours; the middle one's owner goes too far */

/* Out of line, so that the report names who did it. */
__attribute__((noinline)) static void write_bytes(volatile uint8_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		from[i] = WRITTEN;
}

static void take_neighbours(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		blocks[i] = take_block(&parts);
		for (size_t n = 0; n < BLOCK_BYTES; n++)
			blocks[i][n] = PATTERN;
	}
}

static bool is_whole(const uint8_t *block)
{
	for (size_t n = 0; n < BLOCK_BYTES; n++)
		if (block[n] != PATTERN)
			return false;
	return true;
}

static const struct {
	long from; /* the first byte written, from the block's first */
	size_t count;
} ways[] = {
	{ 0, BLOCK_BYTES + 1 },
	{ 0, 2 * BLOCK_BYTES },
	{ -1, BLOCK_BYTES },
};

#define OVERFLOW_PARAMS(P)                                                                         \
	P(how, 0, 0, ARRAY_SIZE(ways) - 1,                                                         \
	  "0: by one byte; 1: by a whole block; 2: backwards, by one byte")                        \
	P(walk, 0, 0, 1, "1: pool_check() looks; 0: whoever frees the block")                      \
	P(kind, 0, 0, NR_POOL_KINDS - 1, POOL_KINDS_HELP)

LAB(pool, overflow, "the owner of a block writes past it", OVERFLOW_PARAMS)
{
	make_pool_of_kind(&parts, "parts", BLOCK_BYTES, BLOCKS, a->kind);
	take_neighbours();
	write_bytes(blocks[1], BLOCK_BYTES);
	if (pool_check(&parts))
		panic("check-of-a-whole-pool");
	report("[pool-lab] writing past a block");
	write_bytes(blocks[1] + ways[a->how].from, ways[a->how].count);
	if (a->walk)
		pool_check(&parts);
	else
		pool_free(&parts, blocks[1]);
	end_if_found(&parts);
	report("[pool-lab] neighbours before=%s behind=%s",
	       is_whole(blocks[0]) ? "whole" : "written",
	       is_whole(blocks[2]) ? "whole" : "written");
	end("survived");
}
