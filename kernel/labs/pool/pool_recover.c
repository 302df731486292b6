/*
 * Pool labs: a pool that has run dry comes back whole, in whatever order its blocks come back: nothing is
 * lost, nothing is given out twice, and at the edge it is exact, time after time.
 */
#include "lab/lab.h"
#include "labs/pool/pool_kinds.h"
#include "mem/pool.h"
#include "report/report.h"

#define BLOCKS 17 /* a prime: any step visits every block */
#define BLOCK_BYTES 64

static struct mem_pool parts;
static void *blocks[BLOCKS];

/* Out of line, so that the refusal names it. A pool without its limit gives out what it does not have. */
__attribute__((noinline)) static void ask_one_too_many(void)
{
	if (pool_alloc(&parts)) {
		pool_report(&parts);
		end("survived");
	}
}

/* Which block came n-th: so the log shows the order that they were freed in. */
static size_t index_of(size_t n)
{
	return pool_index(&parts, (uintptr_t)blocks[n]);
}

/* Take every block; how many different ones that were. */
static size_t drain(void)
{
	bool seen[BLOCKS] = { false };
	size_t different = 0;

	for (size_t i = 0; i < BLOCKS; i++) {
		size_t index;

		blocks[i] = take_block(&parts);
		index = index_of(i);
		different += !seen[index];
		seen[index] = true;
	}
	return different;
}

static void give_back(size_t first, size_t step)
{
	for (size_t i = 0; i < BLOCKS; i++)
		pool_free(&parts, blocks[(first + i * step) % BLOCKS]);
}

static const struct {
	const char *name;
	size_t first, step; /* of the freed, in the order they were taken */
} orders[] = {
	{ "forwards", 0, 1 },
	{ "backwards", BLOCKS - 1, BLOCKS - 1 },
	{ "scattered", 3, 7 },
};

static void recover_in_order(size_t n)
{
	size_t different;

	drain();
	ask_one_too_many();
	give_back(orders[n].first, orders[n].step);
	if (pool_check(&parts))
		end_if_found(&parts);
	different = drain();
	report("[pool-lab] freed=%s recovered=%lu of=%u first=%lu last=%lu", orders[n].name,
	       different, BLOCKS, index_of(0), index_of(BLOCKS - 1));
	if (different != BLOCKS)
		panic("blocks-lost");
	give_back(0, 1);
}

/* Dry, one back, one out, and the next one is refused; again and again. */
static void stay_at_the_edge(uint64_t rounds)
{
	drain();
	for (uint64_t i = 0; i < rounds; i++) {
		void **block = &blocks[i % BLOCKS];

		ask_one_too_many();
		pool_free(&parts, *block);
		*block = take_block(&parts);
	}
	give_back(0, 1);
}

#define RECOVER_PARAMS(P) P(rounds, 100, 1, 1000, "times that the last block changes hands")

LAB(pool, recover, "a dry pool comes back whole, in any order", RECOVER_PARAMS)
{
	if (!pool_init(&parts, "parts", BLOCK_BYTES, BLOCKS))
		panic("no-pool");
	for (size_t n = 0; n < ARRAY_SIZE(orders); n++)
		recover_in_order(n);
	stay_at_the_edge(a->rounds);
	pool_report(&parts);
	if (parts.in_use || parts.failures != ARRAY_SIZE(orders) + a->rounds)
		panic("miscounted");
	end("caught by=pool-limit");
}
