/*
 * Cost labs: what a protection that the compiler or the CPU gives costs a call. Twins with it and without, of
 * the same source, side by side. scenarios/test_cost.py is the other half; what the pool's own checks cost
 * stands in golden/mem/switches.log, a check in the prologue in golden/grow/cost.log.
 */
#include "lab/lab.h"
#include "labs/cost/cost.h"
#include "labs/lib/sign.h"
#include "labs/pool/pool_kinds.h"
#include "report/report.h"

#define BLOCK 32
#define CAPACITY 4

/* An array makes -fstack-protector-strong put a canary above it; for all the compiler knows, it is used. */
#define WITH_ARRAY                                                                                 \
	char array[16];                                                                            \
	__asm__ volatile("" ::"r"(array));                                                         \
	return object

__attribute__((noinline)) static void *with_canary(void *object)
{
	WITH_ARRAY;
}

__attribute__((noinline, no_stack_protector)) static void *without_canary(void *object)
{
	WITH_ARRAY;
}

/* A function is signed only if it stores its return address, so it calls one. */
#define WITH_CALL                                                                                  \
	lab_return(object, 0);                                                                     \
	return object

__attribute__((noinline, target("branch-protection=pac-ret"))) static void *
signed_call(void *object)
{
	WITH_CALL;
}

__attribute__((noinline, target("branch-protection=none"))) static void *unsigned_call(void *object)
{
	WITH_CALL;
}

/* [cost] protect=NAME with= without= adds= */
static void compare(const char *protection, costed with, costed without)
{
	uint64_t on = cost_of(with, NULL, 0).instructions;
	uint64_t off = cost_of(without, NULL, 0).instructions;

	report("[cost] protect=%s with=%lu without=%lu adds=%lu", protection, on, off, on - off);
}

/* Block by block from a pool of this kind, given back at once: what the second alloc takes, and its free. */
struct pair {
	uint64_t alloc, free;
};

static struct pair measure_kind(struct mem_pool *pool, uint64_t kind)
{
	struct cost taken, given;

	make_pool_of_kind(pool, "cost", BLOCK, CAPACITY, kind);
	pool_free(pool, take_block(pool));
	taken = cost_of(COSTED(pool_alloc), pool, 0);
	given = cost_of(COSTED(pool_free), pool, (uintptr_t)taken.result);
	if (pool_check(pool))
		panic("pool-is-not-whole");
	return (struct pair){ taken.instructions, given.instructions };
}

static void measure_tags(void)
{
	static struct mem_pool plain, tagged;
	struct pair off = measure_kind(&plain, KIND_PLAIN);
	struct pair on = measure_kind(&tagged, KIND_TAGGED);

	report("[cost] protect=mte.alloc with=%lu without=%lu adds=%lu", on.alloc, off.alloc,
	       on.alloc - off.alloc);
	report("[cost] protect=mte.free with=%lu without=%lu adds=%lu", on.free, off.free,
	       on.free - off.free);
}

LAB(cost, protect, "a canary, a signature and memory tags, with and without", NO_PARAMS)
{
	sign_returns();
	cost_start();
	compare("canary", COSTED(with_canary), COSTED(without_canary));
	compare("pac", COSTED(signed_call), COSTED(unsigned_call));
	measure_tags();
}
