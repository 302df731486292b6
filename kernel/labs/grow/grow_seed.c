/*
 * grow.seed: morestack as a Go kernel on bare metal had it. It pushes every register onto the very stack
 * that is too small for one frame more; below a guard that leaves room for that, it makes nothing larger,
 * as that call is commented out, and the function that asked begins again, and asks.
 */
#include "lab/lab.h"
#include "labs/grow/grower.h"
#include "report/report.h"

LAB_WORDS(morestack_word, "pushes", "asks")

#define FRAMES 500 /* of 64 bytes: more than the stack has */
#define SEED_STACK (16 * KiB)
#define SEED_LIMIT (64 * KiB)
#define SEED_RESERVE 64

uint64_t grow_seed_deep(uint64_t frames, uint64_t asks); /* grow_seed.S */

struct seed {
	uint64_t asks, left;
};

static void seed_grower(void *argument)
{
	const struct seed *seed = argument;
	struct thread *t = current();

	if (!seed->asks)
		t->guard0 = t->stack.base + seed->left;
	report("[grow-lab] recursing calls=%d stack=%lu guard0=%pA", FRAMES, t->stack.size,
	       (void *)t->guard0);
	grow_seed_deep(FRAMES, seed->asks);
	grower_report(t->growth);
}

#define SEED_PARAMS(P)                                                                             \
	P(left, 128, 64, 928, "bytes that the check leaves below SP; Go leaves 928")               \
	P(morestack, 0, 0, 1, "pushes onto the stack and grows nothing, or asks without a push",   \
	  .name = morestack_word)

LAB(grow, seed, "the seed's morestack: it pushes onto what is full, and grows nothing", SEED_PARAMS)
{
	struct seed seed = { a->morestack, a->left };
	struct grower g = {
		.spec = { a->morestack ? GROW_COPY : GROW_FIXED,
			  a->morestack ? SEED_LIMIT : SEED_STACK, ADJUST_CONSERVATIVE,
			  .paint = true },
		.reserve = SEED_RESERVE,
		.function = seed_grower,
		.argument = &seed,
	};

	grower_run(&g);
	end(a->morestack ? "ok" : "survived");
}
