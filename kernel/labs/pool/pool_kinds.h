/* What the pool labs share: kind=, how a pool keeps its blocks; and the end, when a pool found something. */
#ifndef LABS_POOL_POOL_KINDS_H
#define LABS_POOL_POOL_KINDS_H

#include "arch/mte.h"
#include "mem/pool.h"
#include "report/report.h"

enum pool_kind { KIND_PLAIN, KIND_PAGED, KIND_TAGGED, NR_POOL_KINDS };

#define POOL_KINDS_HELP "0: one behind the other; 1: each on a page of its own; 2: with tags (MTE)"

/* Or end the boot: the lab cannot run. */
static inline void make_pool_of_kind(struct mem_pool *pool, const char *name, size_t size,
				     size_t capacity, uint64_t kind)
{
	static const struct pool_mode *const modes[NR_POOL_KINDS] = {
		[KIND_PLAIN] = NULL,
		[KIND_PAGED] = &pool_paged,
		[KIND_TAGGED] = &pool_tagged,
	};

	if (kind == KIND_TAGGED && !mte_present())
		end("bad-args why=no-mte key=kind : this machine keeps no tags; boot with -M virt,mte=on -cpu max");
	if (!pool_init_mode(pool, name, size, capacity, modes[kind]))
		panic("no-pool");
}

/* What a pool has found is the verdict. */
static inline void end_if_found(const struct mem_pool *pool)
{
	if (!pool->errors)
		return;
	pool_report(pool);
	end("caught by=%s", pool_detector(pool->last.error));
}

/* A block of a pool that is not used up. Inlined always: the pool notes who called. */
__attribute__((always_inline)) static inline void *take_block(struct mem_pool *pool)
{
	void *block = pool_alloc(pool);

	if (!block) {
		end_if_found(pool);
		panic("early-refusal");
	}
	return block;
}

#endif
