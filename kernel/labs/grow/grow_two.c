/*
 * Grow labs: two CPUs grow a stack each at the same time, out of one reserve. Each gives way to the other
 * just where it has chosen its pages and the list still has them: the other comes for its own there, and has
 * to wait. Without the lock it takes the same ones.
 */
#include "arch/mmu.h"
#include "base/cpu.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/grow/grower.h"
#include "labs/lib/leak.h"
#include "mem/growspace.h"
#include "proc/sched.h"
#include "proc/smp.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_UNBOUNDED("thread:here", 64 * MiB, "a grower, too")
STACK_UNBOUNDED("thread:there", 64 * MiB, "a grower, too")
STACK_CALLS("together_grower", "kernel/labs/grow/grow_*.c:grow_deep_*_two", "plain, or patched")
STACK_CALLS("kernel/mem/growspace.c:growspace_map", "give_way",
	    "growspace_hook: only grow.two sets it")

#define LIMIT (256 * KiB)
#define RESERVE 256 /* pages */

LAB_WORDS(two_how_word, "demand", "copy", "both")

struct side {
	deep_function *deep;
	uint64_t depth;
	struct thread *thread;
	unsigned int given_way; /* times that the reserve was left to the other CPU half-way */
};
static struct side sides[DEEP_CPUS];

static void give_way(void)
{
	sides[cpu_index()].given_way++;
	cpu_relax();
}

static void together_grower(void *argument)
{
	const struct side *s = argument;
	struct deep_check *check = &deep_checks[cpu_index()];
	struct deep_link root = { .depth = s->depth };

	s->deep(s->depth - 1, &root);
	check->locals += root.depth != s->depth;
}

/* Is there a page that both have? */
static bool page_in_both(const struct stack *a, const struct stack *b)
{
	bool found = false;

	for (uintptr_t p = ALIGN_DOWN(a->base, PAGE_SIZE); p < stack_top(a); p += PAGE_SIZE)
		for (uintptr_t q = ALIGN_DOWN(b->base, PAGE_SIZE); q < stack_top(b); q += PAGE_SIZE)
			found |= mmu_page_of(p) == mmu_page_of(q);
	return found;
}

/* Both stand still in their last frame. False: paint where none should be, or none where it should. */
static bool side_right(unsigned int cpu)
{
	const struct thread *t = sides[cpu].thread;
	const struct growth *g = t->growth;
	size_t used = thread_stack_high_watermark_bytes(t);
	size_t lowest = g->top - deep_checks[cpu].lowest;

	report("[grow] side cpu=%u on=%u growths=%lu pages_used=%lu used=%lu lowest_sp=%lu times=%u",
	       cpu, t->cpu->index, g->growths, ALIGN_UP(t->stack.size, PAGE_SIZE) / PAGE_SIZE, used,
	       lowest, sides[cpu].given_way);
	/* The last frame's lowest words may be for calls that it does not make: nobody writes those. */
	return used <= lowest && lowest - used < deep_last_frame[cpu];
}

static void make_side(unsigned int cpu, enum grow_kind kind, uint64_t depth)
{
	struct grow_spec spec = { kind, LIMIT, ADJUST_CONSERVATIVE, .paint = true };
	struct side *s = &sides[cpu];

	*s = (struct side){
		.deep = kind == GROW_COPY ? grow_deep_patched_two : grow_deep_plain_two,
		.depth = depth,
	};
	s->thread = grow_make(cpu ? "there" : "here", together_grower, s, &spec);
	if (!s->thread)
		panic("no-grower");
}

static void run_sides(void)
{
	growspace_hook = give_way;
	if (!smp_run(1, sides[1].thread))
		end("bad-args why=no-cpu : CPU 1 did not start; boot with -smp 2 or more");
	sched_ready(sides[0].thread);
	while (__atomic_load_n(&deep_arrived, __ATOMIC_ACQUIRE) < DEEP_CPUS)
		thread_sleep(1);
	growspace_hook = NULL;
}

static void compare_sides(void)
{
	bool shared = page_in_both(&sides[0].thread->stack, &sides[1].thread->stack);

	report("[grow] both stacks=2 shared=%s pages_used=%lu", shared ? "yes" : "no",
	       growspace_count().mapped);
	/* Nobody in the kernel has noticed, and there is no way back from here. */
	if (shared || !side_right(0) || !side_right(1))
		end("survived");
}

static void join_sides(uint64_t depth)
{
	__atomic_store_n(&deep_leave, 1, __ATOMIC_RELEASE);
	thread_join(sides[0].thread, NULL);
	smp_join(sides[1].thread, NULL);
	for (unsigned int cpu = 0; cpu < DEEP_CPUS; cpu++) {
		const struct deep_check *c = &deep_checks[cpu];
		unsigned long wrong = c->locals + c->pointers + c->registers;

		report("[grow] descent cpu=%u calls=%lu wrong=%lu", cpu, c->frames, wrong);
		if (c->frames != depth || wrong)
			panic("recursion-went-wrong");
	}
}

#define TWO_PARAMS(P)                                                                              \
	P(how, 0, 0, 2, "which way the stacks grow; both: CPU 1's is copied",                      \
	  .name = two_how_word)                                                                    \
	P(depth, 300, 1, 1000, "frames of each recursion, which comes back")

LAB(grow, two, "two CPUs grow their stacks at the same time", TWO_PARAMS)
{
	size_t free;

	if (a->how)
		grower_patch(grow_deep_patched_two);
	growspace_fill(RESERVE);
	make_side(0, a->how == 1 ? GROW_COPY : GROW_DEMAND, a->depth);
	make_side(1, a->how ? GROW_COPY : GROW_DEMAND, a->depth);
	run_sides();
	compare_sides();
	join_sides(a->depth);
	free = growspace_count().free;
	report("[grow] joined pages_used=%lu reserve=%s", growspace_count().mapped,
	       free == RESERVE ? "whole" : "not whole");
	leak_check(growspace_count().mapped || free != RESERVE, "pages");
}
