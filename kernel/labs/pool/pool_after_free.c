/*
 * Pool labs: a block is used after it was freed. Who notices depends on how the pool keeps its blocks:
 * one behind the other, it is whoever looks at the poison next, or whoever follows a pointer that was
 * read out of it; on pages of their own or with tags, the access itself faults.
 */
#include "lab/lab.h"
#include "labs/pool/pool_kinds.h"
#include "mem/pool.h"
#include "report/report.h"

#define BLOCKS 8

struct part {
	uint64_t link[2]; /* where the free list's link comes to lie */
	const struct part *neighbour;
	uint64_t weight;
	uint64_t rest[4];
};

static struct mem_pool parts;

/* Out of line, so that the report names who did it. The accesses come before the frame record is taken down. */
__attribute__((noinline)) static uint64_t weigh_neighbour(const volatile struct part *stale)
{
	uint64_t weight = READ_ONCE(stale->neighbour->weight);

	__asm__ volatile("" ::"r"(weight) : "memory");
	return weight;
}

__attribute__((noinline)) static void write_weight(volatile struct part *stale)
{
	stale->weight = 0x5ca1ab1e;
	__asm__ volatile("" ::: "memory");
}

/* The writer came back: does the next owner hear of it? */
static void take_again(void)
{
	const struct part *part = take_block(&parts);

	report("[pool-lab] the next owner finds weight=0x%lx", part->weight);
}

/* No pool can see this one; only memory that tells the old owner's pointer from the new one's. */
static void write_to_the_next_owner(struct part *stale)
{
	struct part *part = take_block(&parts);

	part->weight = 8;
	report("[pool-lab] writing to a block that has a new owner");
	write_weight(stale);
	report("[pool-lab] the new owner finds weight=0x%lx", part->weight);
}

enum access { ACCESS_READ, ACCESS_WRITE };

#define USE_AFTER_FREE_PARAMS(P)                                                                   \
	P(how, ACCESS_WRITE, ACCESS_READ, ACCESS_WRITE,                                            \
	  "0: a pointer is read and followed; 1: a word is written")                               \
	P(reused, 0, 0, 1, "1: the block has a new owner by then")                                 \
	P(kind, 0, 0, NR_POOL_KINDS - 1, POOL_KINDS_HELP)

LAB(pool, use_after_free, "a block is used after it was freed", USE_AFTER_FREE_PARAMS)
{
	static const struct part anchor = { .weight = 7 };
	struct part *part;

	make_pool_of_kind(&parts, "parts", sizeof(*part), BLOCKS, a->kind);
	part = take_block(&parts);
	*part = (struct part){ .neighbour = &anchor };
	report("[pool-lab] neighbour weighs=%lu", weigh_neighbour(part));
	pool_free(&parts, part);
	if (a->reused) {
		write_to_the_next_owner(part);
	} else if (a->how == ACCESS_READ) {
		report("[pool-lab] reading a pointer from a freed block, and following it");
		report("[pool-lab] neighbour weighs=%lu", weigh_neighbour(part));
	} else {
		report("[pool-lab] writing to a freed block");
		write_weight(part);
		take_again();
	}
	end("survived");
}
