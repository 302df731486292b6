/* Grow labs: a stack that grows on another CPU than the first, in its fault handler or by moving. */
#include "base/cpu.h"
#include "lab/lab.h"
#include "labs/grow/grower.h"
#include "labs/lib/leak.h"
#include "labs/lib/recurse.h"
#include "mem/growspace.h"
#include "proc/smp.h"
#include "report/report.h"

#define OTHER_CPU 1
#define OTHER_LIMIT (64 * KiB)
#define OTHER_RESERVE 64 /* pages */
#define OVERFLOW_PAST (2 * KiB)

LAB_WORDS(other_how_word, "demand", "copy")
LAB_WORDS(other_yes_word, "no", "yes")

struct descent {
	deep_function *deep;
	uint64_t depth, overflow;
};

static void other_grower(void *argument)
{
	const struct descent *d = argument;
	const struct growth *g = current()->growth;
	uintptr_t floor;

	deep_run(d->deep, d->depth);
	report("[grow] descent cpu=%u calls=%lu wrong=%lu lowest_sp=%lu", cpu_local()->index,
	       deep_check.frames, deep_check.locals + deep_check.pointers + deep_check.registers,
	       g->top - deep_check.lowest);
	grower_report(g);
	if (!d->overflow)
		return;
	floor = g->lowest - OVERFLOW_PAST;
	report("[grow-lab] recursing until=%pA", (void *)floor);
	recurse(floor);
	report("[grow-lab] came back");
}

/* Made here, as only CPU 0 allocates; what it grows by there comes from the reserve. */
static struct thread *start_other(struct descent *d, enum grow_kind kind)
{
	struct grow_spec spec = { kind, OTHER_LIMIT, ADJUST_CONSERVATIVE, .paint = true };
	struct thread *t;

	growspace_fill(OTHER_RESERVE);
	t = grow_make("grower", other_grower, d, &spec);
	if (!t)
		panic("no-grower");
	if (!smp_run(OTHER_CPU, t))
		end("bad-args why=no-cpu : CPU %u did not start; boot with -smp %u or more",
		    OTHER_CPU, OTHER_CPU + 1);
	return t;
}

#define OTHER_PARAMS(P)                                                                            \
	P(how, 0, 0, 1, "which way the stack grows", .name = other_how_word)                       \
	P(depth, 200, 1, 300, "frames of the recursion, which comes back")                         \
	P(overflow, 0, 0, 1, "then recurse on to the end of the addresses", .name = other_yes_word)

LAB(grow, other, "a stack grows on another CPU than the first", OTHER_PARAMS)
{
	struct descent d = { a->how ? grow_deep_patched : grow_deep_plain, a->depth, a->overflow };
	const char *detector = NULL;
	enum thread_state how;

	if (a->how)
		grower_patch(grow_deep_patched);
	how = smp_join(start_other(&d, a->how ? GROW_COPY : GROW_DEMAND), &detector);
	report("[grow] joined pages_used=%lu", growspace_count().mapped);
	leak_check(growspace_count().mapped, "pages");
	if (how == THREAD_KILLED)
		end("contained by=%s", detector);
	if (deep_check.frames != d.depth || !deep_right())
		panic("recursion-went-wrong");
	end(a->overflow ? "survived" : "ok");
}
