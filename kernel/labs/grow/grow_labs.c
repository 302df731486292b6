/*
 * Grow labs: stacks that grow in place. All backed beforehand, or page by page as it is touched; and
 * where growing is refused. Frames that step over a page: grow_frames.c. Stacks that move: grow_copy.c.
 */
#include "arch/sysreg.h"
#include "base/spinlock.h"
#include "lab/lab.h"
#include "labs/grow/grower.h"
#include "labs/lib/recurse.h"
#include "mem/growspace.h"
#include "report/report.h"

LAB_WORDS(grow_yes_word, "no", "yes")
LAB_WORDS(backed_word, "boot", "touch")
LAB_WORDS(how_word, "demand", "copy")

#define OVERFLOW_PAST (2 * KiB)
#define TOUCH_RESERVE                                                                              \
	1024 /* pages: 4 MiB of the 64 are enough, where they are backed when touched */

#define WINDOW_PARAM(P, initial)                                                                   \
	P(window, initial, 8 * KiB, 64 * MiB, "bytes of addresses that the stack has")
#define DEPTH_PARAM(P) P(depth, 4000, 1, 100000, "frames of the recursion, which comes back")
#define OVERFLOW_PARAM(P)                                                                          \
	P(overflow, 0, 0, 1, "then recurse on to the end of the addresses", .name = grow_yes_word)
#define RESERVE_PARAM(P, initial)                                                                  \
	P(reserve, initial, 0, 32768, "pages put by, for stacks to grow with")

struct descent {
	uint64_t depth, overflow;
};

static void report_descent(const struct descent *d, uint64_t first, uint64_t second)
{
	const struct growth *g = current()->growth;

	report("[grow] descent calls=%lu wrong=%lu instructions=%lu again=%lu lowest_sp=%lu",
	       deep_check.frames, deep_check.locals + deep_check.pointers + deep_check.registers,
	       first, second, g->top - deep_check.lowest);
	grower_report(g);
	if (deep_check.frames != d->depth || !deep_right())
		panic("recursion-went-wrong");
}

/* Twice: what the second descent does not cost is what growing did. */
static void descent_grower(void *argument)
{
	const struct descent *d = argument;
	uint64_t first = grower_count(grow_deep_plain, d->depth);
	uint64_t second = grower_count(grow_deep_plain, d->depth);
	uintptr_t floor = current()->growth->lowest - OVERFLOW_PAST;

	report_descent(d, first, second);
	if (!d->overflow)
		return;
	report("[grow-lab] recursing until=%pA", (void *)floor);
	recurse(floor);
	report("[grow-lab] came back");
}

__attribute__((noreturn)) static void run_descent(enum grow_kind kind, size_t window,
						  size_t reserve, struct descent *d)
{
	struct grower g = {
		/* No paint where it would be counted as a cost of making the stack. */
		.spec = { .kind = kind,
			  .limit = ALIGN_DOWN(window, PAGE_SIZE),
			  .paint = d->overflow },
		.reserve = reserve,
		.measured = true,
		.function = descent_grower,
		.argument = d,
	};

	grower_run(&g);
	end(d->overflow ? "survived" : "ok");
}

#define FIXED_PARAMS(P)                                                                            \
	WINDOW_PARAM(P, 64 * MiB)                                                                  \
	P(backed, 0, 0, 1, "when its pages come: all at once, or each when it is touched",         \
	  .name = backed_word)                                                                     \
	DEPTH_PARAM(P) OVERFLOW_PARAM(P)

LAB(grow, fixed, "a large stack, preallocated", FIXED_PARAMS)
{
	struct descent d = { a->depth, a->overflow };

	run_descent(a->backed ? GROW_DEMAND : GROW_FIXED, a->window,
		    a->backed ? TOUCH_RESERVE : a->window / PAGE_SIZE, &d);
}

#define DEMAND_PARAMS(P)                                                                           \
	WINDOW_PARAM(P, 1 * MiB) RESERVE_PARAM(P, 256) DEPTH_PARAM(P) OVERFLOW_PARAM(P)

LAB(grow, demand, "a stack whose pages are mapped by the fault handler", DEMAND_PARAMS)
{
	struct descent d = { a->depth, a->overflow };

	run_descent(GROW_DEMAND, a->window, a->reserve, &d);
}

/* --- where it is refused ------------------------------------------------------------------------- */

#define SMALL_WINDOW (64 * KiB)
#define SMALL_RESERVE 32
#define BELOW (6 * KiB) /* more than the stack begins with */
#define FRAMES_BELOW 64

struct refusal {
	uint64_t how, prepared;
};

static void run_small(enum grow_kind kind, void (*function)(void *), void *argument)
{
	struct grower g = {
		.spec = { kind, SMALL_WINDOW, ADJUST_CONSERVATIVE, .paint = true },
		.reserve = SMALL_RESERVE,
		.function = function,
		.argument = argument,
	};

	grower_run(&g);
}

/* What is legal: to have the room before interrupts are masked. */
static void prepare(const struct refusal *r)
{
	if (r->prepared && r->how == GROW_COPY)
		grow_ask(2 * BELOW);
	else if (r->prepared && !grow_prefault(2 * BELOW))
		panic("no-pages-to-prefault");
}

static void go_below(const struct refusal *r)
{
	if (r->how == GROW_COPY)
		deep_run(grow_deep_patched, FRAMES_BELOW);
	else
		recurse(stack_pointer - BELOW);
}

static void masked_grower(void *argument)
{
	uint64_t flags;

	prepare(argument);
	report("[grow-lab] recursing with interrupts masked");
	flags = irq_save();
	go_below(argument);
	irq_restore(flags);
	grower_report(current()->growth);
}

static void locked_grower(void *argument)
{
	uint64_t flags;

	prepare(argument);
	report("[grow-lab] recursing while holding the lock of the reserve itself");
	flags = spin_lock(&growspace_lock);
	go_below(argument);
	spin_unlock(&growspace_lock, flags);
	grower_report(current()->growth);
}

__attribute__((noreturn)) static void run_refused(void (*function)(void *), uint64_t how,
						  uint64_t prepared)
{
	struct refusal r = { how ? GROW_COPY : GROW_DEMAND, prepared };

	if (how)
		grower_patch(grow_deep_patched);
	run_small((enum grow_kind)r.how, function, &r);
	end(prepared ? "ok" : "survived");
}

#define REFUSED_PARAMS(P)                                                                          \
	P(how, 0, 0, 1, "which way the stack grows", .name = how_word)                             \
	P(prepared, 0, 0, 1, "ask for the room before, where it is allowed", .name = grow_yes_word)

LAB(grow, masked, "a stack has to grow while interrupts are masked", REFUSED_PARAMS)
{
	run_refused(masked_grower, a->how, a->prepared);
}

LAB(grow, locked, "a stack has to grow while its thread holds a lock", REFUSED_PARAMS)
{
	run_refused(locked_grower, a->how, a->prepared);
}

static void stray_grower(__attribute__((unused)) void *unused)
{
	volatile uint8_t *far = (uint8_t *)current()->growth->lowest + PAGE_SIZE;

	report("[grow-lab] writing to the stack's last page but one at=%pA", (void *)far);
	FAULT_SITE(grow_stray, "strb %w0, [%1]", "r"(0), "r"(far));
	report("[grow-lab] wrote it");
	grower_report(current()->growth);
}

LAB(grow, stray, "a pointer far below SP touches what the stack could grow into", NO_PARAMS)
{
	run_small(GROW_DEMAND, stray_grower, NULL);
	end("survived");
}

/* Faults of a thread whose stack grows by faults, none of which is growth. */
static void mistaken_grower(void *argument)
{
	static const uint64_t constant = 1;

	if (*(const bool *)argument)
		FAULT_SITE(grow_null, "ldr xzr, [%0]", "r"(0UL));
	else
		FAULT_SITE(grow_constant, "str xzr, [%0]", "r"(&constant));
	grower_report(current()->growth);
}

LAB_WORDS(mistake_word, "constant", "null")
#define MISTAKEN_PARAMS(P) P(by, 0, 0, 1, "write to a constant, or read null", .name = mistake_word)

LAB(grow, mistaken, "a thread whose stack grows by faults has another fault", MISTAKEN_PARAMS)
{
	bool null = a->by;

	run_small(GROW_DEMAND, mistaken_grower, &null);
	end("survived");
}
