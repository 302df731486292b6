/*
 * Grow labs: stacks that grow by copying. First that it works, on a recursion that has everything a compiler
 * puts on a stack; then each of the ways in which it cannot: what is kept elsewhere, what only looks like an
 * address, what is signed, and handlers.
 */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/grow/grower.h"
#include "labs/lib/sign.h"
#include "mem/growspace.h"
#include "proc/sched.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

STACK_UNBOUNDED("thread:early", 64 * MiB, "a grower, too")
STACK_CALLS("kernel/report/exception.c:dispatch", "deep_in_handler",
	    "tick_hook: grow.handler sets it")
STACK_IGNORE("kernel/report/exception.c:dispatch", "deep_in_handler", "irq:cpu*",
	     "grow.handler: what it calls is refused before it has a frame")
STACK_TAKEN("kernel/labs/grow/grow_*.c:grow_big_*",
	    "grow_patch() looks it up in the table of entries; calls are by name")

LAB_WORDS(adjust_word, "none", "frames", "conservative")
LAB_WORDS(check_word, "prologue", "hooks")
LAB_WORDS(resign_word, "no", "yes")
LAB_WORDS(move_word, "no", "yes")

#define DEPTH_PARAM(P, initial) P(depth, initial, 1, 20000, "frames of the recursion")
#define ADJUST_PARAM(P) P(adjust, 2, 0, 2, "what is rewritten in the copy", .name = adjust_word)
#define LIMIT_PARAM(P) P(limit, 1 * MiB, 4 * KiB, 8 * MiB, "bytes that the stack may grow to")
#define RESERVE_PARAM(P) P(reserve, 512, 1, 8192, "pages put by, for stacks to grow with")

/* Frames that take a stack of 2 KiB through some growths. */
#define SOME_FRAMES 64
#define SOME_PAGES 64

static void check_descent(const char *what, uint64_t frames)
{
	unsigned long wrong = deep_check.locals + deep_check.pointers + deep_check.registers;

	report("[grow] %s calls=%lu wrong=%lu lowest_sp=%lu", what, deep_check.frames, wrong,
	       current()->growth->top - deep_check.lowest);
	if (deep_check.frames != frames)
		panic("recursion-lost-frames");
}

static bool descent_right;

static void copy_grower(void *argument)
{
	uint64_t depth = *(uint64_t *)argument;

	deep_run(grow_deep_patched, depth);
	descent_right = deep_right();
	check_descent("descent", depth);
	grower_report(current()->growth);
	grower_report_copy(current()->growth);
}

#define COPY_PARAMS(P) DEPTH_PARAM(P, 4000) ADJUST_PARAM(P) LIMIT_PARAM(P) RESERVE_PARAM(P)

LAB(grow, copy, "a stack that is copied to twice the size when a prologue asks", COPY_PARAMS)
{
	struct grower g = {
		.spec = { GROW_COPY, a->limit, a->adjust, SHRINK_REUSE, .resign = true,
			  .paint = true },
		.reserve = a->reserve,
		.function = copy_grower,
		.argument = &a->depth,
	};

	grower_patch(grow_deep_patched);
	grower_run(&g);
	end(descent_right ? "ok" : "survived");
}

static void run_some(void (*function)(void *), void *argument, enum grow_adjust adjust, bool resign)
{
	struct grower g = {
		.spec = { GROW_COPY, 64 * KiB, adjust, SHRINK_REUSE, .resign = resign,
			  .paint = true },
		.reserve = SOME_PAGES,
		.function = function,
		.argument = argument,
	};

	grower_run(&g);
}

static void frame_grower(void *hooks)
{
	report("[grow-lab] taking a frame of 9 KiB on %lu bytes of stack", current()->stack.size);
	if (*(uint64_t *)hooks)
		grow_big_hooked(1);
	else
		grow_big_patched(1);
	grower_report(current()->growth);
}

#define FRAME_PARAMS(P)                                                                            \
	P(check, 0, 0, 1, "before the frame is taken, or behind", .name = check_word)

LAB(grow, copy_frame, "one frame larger than the stack: its own check makes room first",
    FRAME_PARAMS)
{
	grower_patch(grow_big_patched);
	run_some(frame_grower, &a->check, ADJUST_CONSERVATIVE, true);
	end("ok");
}

/* --- where copying breaks ------------------------------------------------------------------------ */

static volatile uint64_t *escaped;

static void stale_grower(__attribute__((unused)) void *unused)
{
	volatile uint64_t local = 1;

	escaped = &local;
	deep_run(grow_deep_patched, SOME_FRAMES);
	report("[grow-lab] writing through a pointer that was kept in .data to=%pA",
	       (void *)escaped);
	FAULT_SITE(grow_stale, "str %0, [%1]", "r"(2UL), "r"(escaped));
	report("[grow-lab] wrote it, and the local is %s", local == 2 ? "changed" : "as it was");
}

LAB(grow, stale, "the address of a local is kept elsewhere while the stack is copied", NO_PARAMS)
{
	grower_patch(grow_deep_patched);
	run_some(stale_grower, NULL, ADJUST_CONSERVATIVE, true);
	end("survived");
}

static volatile uint64_t *left_behind; /* where `early` had 8 KiB of stack */

/* Its old places are named as long as it lives. */
static void early_grower(__attribute__((unused)) void *unused)
{
	const struct stack *old = current()->growth->retired;

	deep_run(grow_deep_patched, 2 * SOME_FRAMES);
	while (old->room != 8 * KiB)
		old++;
	left_behind = (volatile uint64_t *)(old->base - old->room);
	for (;;)
		thread_sleep(1);
}

static void late_grower(void *move)
{
	if (*(uint64_t *)move)
		deep_run(grow_deep_patched, SOME_FRAMES);
	report("[grow-lab] writing where another stack was to=%pA size=%lu", (void *)left_behind,
	       current()->stack.size);
	FAULT_SITE(grow_reused, "str %0, [%1]", "r"(2UL), "r"(left_behind));
	report("[grow-lab] wrote it");
}

/* Whoever takes addresses next begins anew with the lowest that are free. */
static void take_to_the_end(void)
{
	uintptr_t at, window_end = GROW_WINDOW + GROW_WINDOW_SIZE - PAGE_SIZE;

	if (!growspace_take(PAGE_SIZE, &at))
		panic("no-addresses");
	at += 2 * PAGE_SIZE;
	if (!growspace_take(window_end - at, &at))
		panic("no-addresses");
}

#define REUSED_PARAMS(P)                                                                           \
	P(move, 1, 0, 1, "the later stack grows into the places that the earlier one left",        \
	  .name = move_word)

LAB(grow, reused, "a stack is where another has been, and its guard is hit", REUSED_PARAMS)
{
	struct grow_spec spec = { GROW_COPY, 64 * KiB, ADJUST_CONSERVATIVE, .paint = true };
	struct thread *late;

	grower_patch(grow_deep_patched);
	growspace_fill(SOME_PAGES);
	late = grow_make("grower", late_grower, &a->move, &spec);
	if (!late || !grow_thread("early", early_grower, NULL, &spec))
		panic("no-grower");
	while (!left_behind)
		thread_sleep(1);
	take_to_the_end();
	sched_ready(late);
	thread_join(late, NULL);
	end("survived");
}

static bool integer_kept;

/* volatile: on the stack it has to be, where the copy finds it. */
static void lookalike_grower(__attribute__((unused)) void *unused)
{
	uint64_t number = current()->growth->top - 0x123;
	volatile uint64_t integer = number;

	/* Behind a one's complement no copy finds it. */
	number = ~number;
	LAUNDER(number);
	grow_big_patched(1);
	integer_kept = integer == ~number;
	report("[grow-lab] an integer with the value of an address is %s",
	       integer_kept ? "what it was" : "another");
	grower_report_copy(current()->growth);
}

#define LOOKALIKE_PARAMS(P) ADJUST_PARAM(P)

LAB(grow, lookalike, "an integer looks like an address of the stack", LOOKALIKE_PARAMS)
{
	grower_patch(grow_big_patched);
	run_some(lookalike_grower, NULL, a->adjust, true);
	end(integer_kept ? "ok" : "survived");
}

static void pac_grower(__attribute__((unused)) void *unused)
{
	deep_run(grow_deep_signed, SOME_FRAMES);
	check_descent("signed", SOME_FRAMES);
	grower_report_copy(current()->growth);
}

#define PAC_PARAMS(P)                                                                              \
	P(resign, 1, 0, 1, "sign return addresses anew, for where they are now",                   \
	  .name = resign_word)

LAB(grow, pac, "return addresses are signed, with SP, while the stack is copied", PAC_PARAMS)
{
	sign_returns();
	grower_patch(grow_deep_signed);
	run_some(pac_grower, NULL, ADJUST_CONSERVATIVE, a->resign);
	end(deep_right() ? "ok" : "survived");
}

static void deep_in_handler(void)
{
	tick_hook = NULL;
	deep_run(grow_deep_patched, 1);
}

static void handler_grower(__attribute__((unused)) void *unused)
{
	report("[grow-lab] a handler calls what asks for a larger stack");
	tick_hook = deep_in_handler;
	timer_fire_in(64);
	/* Asleep, so that it is always the same instruction which is interrupted. */
	while (READ_ONCE(tick_hook))
		wfi();
	report("[grow-lab] the handler came back");
}

LAB(grow, handler, "an interrupt handler calls a function that asks for a larger stack", NO_PARAMS)
{
	grower_patch(grow_deep_patched);
	run_some(handler_grower, NULL, ADJUST_CONSERVATIVE, true);
	end("survived");
}
