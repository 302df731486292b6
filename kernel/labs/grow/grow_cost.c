/*
 * Grow labs: what growing costs. The same recursion on each kind of stack and with each way to see its end
 * coming, counted in instructions (QEMU, icount shift 0); and what shrinking saves and costs.
 */
#include "arch/cycles.h"
#include "arch/timer.h"
#include "lab/lab.h"
#include "labs/grow/grower.h"
#include "mem/growspace.h"
#include "proc/patch.h"
#include "report/report.h"

LAB_WORDS(shrink_word, "reuse", "quarter")

#define LIMIT (1 * MiB)
#define RESERVE 512

/* Another row of the table: docs/growing-stacks.md. */
struct kind {
	const char *how;
	enum grow_kind kind;
	deep_function *deep;
	bool patched;
	size_t limit;
	uint64_t depth;
};

struct measured {
	uint64_t cold, warm,
		half; /* instructions: the first descent, the second, one of half the depth */
	unsigned long growths;
	uint64_t copied; /* words */
};
static struct measured measured;

static void cost_grower(void *argument)
{
	const struct kind *k = argument;

	measured.cold = grower_count(k->deep, k->depth);
	measured.warm = grower_count(k->deep, k->depth);
	measured.half = grower_count(k->deep, k->depth / 2);
	measured.growths = current()->growth->growths;
	measured.copied = current()->growth->words;
	if (!deep_right())
		panic("recursion-went-wrong");
}

static uint64_t per_call(const struct kind *k)
{
	return (measured.warm - measured.half) / (k->depth - k->depth / 2);
}

/* Instructions per call of the first kind, which checks nothing. */
static uint64_t unchecked;

static void measure(const struct kind *k)
{
	struct grower g = {
		.spec = { .kind = k->kind, .limit = k->limit, .adjust = ADJUST_CONSERVATIVE },
		.reserve = k->limit / PAGE_SIZE + RESERVE,
		.function = cost_grower,
		.argument = (void *)k,
	};
	uint64_t growing;

	if (k->patched)
		grower_patch(k->deep);
	growspace_reset_peak();
	grower_run(&g);
	growing = measured.cold - measured.warm;
	if (!unchecked)
		unchecked = per_call(k);
	record_begin();
	record_add("[grow] cost how=%s setup=%lu per_call=%lu check=%lu", k->how, g.setup,
		   per_call(k), per_call(k) - unchecked);
	record_add(" growths=%lu per_growth=%lu amortised=%lu words=%lu peak=%lu", measured.growths,
		   measured.growths ? growing / measured.growths : 0, growing / k->depth,
		   measured.copied, growspace_count().peak);
	record_end();
	if (k->patched && patch_out(k->deep))
		panic("not-patched-out");
}

#define COST_PARAMS(P) P(depth, 4000, 2, 5000, "frames of the recursion")

LAB(grow, cost, "instructions per call and per growth, and memory, of each way to grow",
    COST_PARAMS)
{
	const struct kind kinds[] = {
		{ "none", GROW_FIXED, grow_deep_plain, false, LIMIT, a->depth },
		{ "fixed", GROW_FIXED, grow_deep_plain, false, 64 * MiB, a->depth },
		{ "demand", GROW_DEMAND, grow_deep_plain, false, 64 * MiB, a->depth },
		{ "nops", GROW_FIXED, grow_deep_patched, false, LIMIT, a->depth },
		{ "check", GROW_FIXED, grow_deep_patched, true, LIMIT, a->depth },
		{ "copy", GROW_COPY, grow_deep_patched, true, LIMIT, a->depth },
		{ "hooks", GROW_COPY, grow_deep_hooked, false, LIMIT, a->depth },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		measure(&kinds[i]);
	end("ok");
}

struct rounds {
	uint64_t depth, rounds;
};

/* Go halves once a collection; here a safe point comes after each descent, and halves until it is enough. */
static void shrink_fully(void)
{
	const struct growth *g = current()->growth;
	unsigned long before;

	do {
		before = g->shrinks;
		grow_ask_smaller();
	} while (READ_ONCE(g->shrinks) != before);
}

static void shrink_grower(void *argument)
{
	const struct rounds *r = argument;
	uint64_t began, took;

	timer_stop();
	began = cycles();
	for (uint64_t n = 0; n < r->rounds; n++) {
		deep_run(grow_deep_patched, r->depth);
		shrink_fully();
	}
	took = cycles() - began;
	timer_start();
	report("[grow] shrunk rounds=%lu instructions=%lu held_bytes=%lu", r->rounds, took,
	       current()->stack.size);
	grower_report(current()->growth);
	if (!deep_right())
		panic("recursion-went-wrong");
}

#define SHRINK_PARAMS(P)                                                                           \
	P(shrink, 0, 0, 1, "what becomes of a stack that is too large", .name = shrink_word)       \
	P(depth, 1000, 1, 4000, "frames of each descent")                                          \
	P(rounds, 4, 1, 16, "descents, a safe point after each")

LAB(grow, shrink, "a stack grows and comes back, again and again", SHRINK_PARAMS)
{
	struct rounds rounds = { a->depth, a->rounds };
	struct grower g = {
		.spec = { GROW_COPY, LIMIT, ADJUST_CONSERVATIVE, a->shrink, .resign = true },
		.reserve = RESERVE,
		.function = shrink_grower,
		.argument = &rounds,
	};

	grower_patch(grow_deep_patched);
	grower_run(&g);
	end("ok");
}
