/*
 * Stack labs: places that are used again. A stack in the hole between two others has unmapped pages on both its
 * sides, and none is left where a stack was.
 */
#include "arch/mmu.h"
#include "lab/lab.h"
#include "mem/window.h"
#include "proc/thread.h"
#include "report/report.h"

#define HOLE_PAGES 4

LAB_WORDS(side_word, "below", "above")

static uint64_t side;

/* The byte next to the stack: no access that is further out shows whose the page beside it is. */
static void touch_beside_victim(__attribute__((unused)) void *unused)
{
	const struct stack *s = &current()->stack;
	uintptr_t at = side ? stack_top(s) : s->base - 1;

	report("[stack-lab] touching at=%pA beside=%lu", (void *)at,
	       side ? at - stack_top(s) : s->base - at);
	FAULT_SITE(touch_beside, "ldrb wzr, [%0]", "r"(at));
	report("[stack-lab] came back");
}

static void make_neighbour(struct stack *s, size_t pages)
{
	if (!window_stack_alloc(s, pages * PAGE_SIZE, PAGE_SIZE))
		panic("no-neighbour");
}

static const char *mapped(uintptr_t va)
{
	return mmu_page_of(va) ? "mapped" : "unmapped";
}

/* Three in a row, a guard between any two; then the middle one goes. */
static uintptr_t make_hole(void)
{
	static struct stack low = { .name = "low" }, middle = { .name = "middle" },
			    high = { .name = "high" };
	uintptr_t hole;

	make_neighbour(&low, HOLE_PAGES);
	make_neighbour(&middle, HOLE_PAGES);
	make_neighbour(&high, HOLE_PAGES);
	report("[stack-lab] row below=%s above=%s", mapped(middle.base - 1),
	       mapped(stack_top(&middle)));
	hole = middle.base;
	window_stack_free(&middle);
	return hole;
}

#define REFILLED_PARAMS(P)                                                                         \
	P(side, 0, 0, 1, "which side of it is touched", .name = side_word)                         \
	P(pages, HOLE_PAGES, 1, HOLE_PAGES + 1, "of the new stack; the hole has 4")

LAB(stack, refilled, "a stack in the hole between two others is touched beside its end",
    REFILLED_PARAMS)
{
	uintptr_t hole = make_hole();
	struct thread *t;

	side = a->side;
	t = thread_create("victim", touch_beside_victim, NULL, a->pages * PAGE_SIZE);
	if (!t)
		panic("no-victim");
	report("[stack-lab] refilled hole=%s below=%s above=%s",
	       t->stack.base == hole ? "yes" : "no", mapped(t->stack.base - 1),
	       mapped(stack_top(&t->stack)));
	thread_join(t, NULL);
	end("survived");
}

static uintptr_t left_at;

static void leave_victim(__attribute__((unused)) void *unused)
{
	left_at = (uintptr_t)__builtin_frame_address(0);
}

LAB_WORDS(joined_word, "no", "yes")

#define JOINED_PARAMS(P)                                                                           \
	P(joined, 1, 0, 1, "no: it has ended, and nobody has waited for it", .name = joined_word)

LAB(stack, joined, "a stack is touched after its thread was joined", JOINED_PARAMS)
{
	struct thread *t = thread_create("victim", leave_victim, NULL, HOLE_PAGES * PAGE_SIZE);

	if (!t)
		panic("no-victim");
	thread_wait(t);
	report("[stack-lab] ended frame=%pA", (void *)left_at);
	if (a->joined)
		thread_join(t, NULL);
	report("[stack-lab] touching joined=%s", joined_word(a->joined));
	FAULT_SITE(touch_joined, "ldr xzr, [%0]", "r"(left_at));
	end("survived");
}
