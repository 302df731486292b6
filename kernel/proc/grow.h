/*
 * Threads whose stacks grow. Three ways, and what becomes of each stands in docs/growing-stacks.md:
 *
 *   fixed    all of its addresses are backed when it is made; nothing happens afterwards
 *   demand   a page is mapped when it is touched, in the fault handler (grow_demand.c)
 *   copy     a check in each function's prologue asks for a stack of twice the size; what is on the old
 *            one is copied, what points there rewritten, the old one unmapped (grow_copy.c)
 *
 * Pages come from the reserve of mem/growspace.h, which the maker of the thread fills.
 */
#ifndef PROC_GROW_H
#define PROC_GROW_H

#include "base/current.h"
#include "base/stack_note.h"
#include "report/fault.h"

/* As Go has them: the first stack of a copied one, and what lies below the checked SP. */
#define GROW_FIRST (2 * KiB)
#define GROW_GUARD 928

enum grow_kind { GROW_FIXED, GROW_DEMAND, GROW_COPY };

/* What is rewritten in a copied stack: nothing; frame records and x29; every word that looks like it. */
enum grow_adjust { ADJUST_NONE, ADJUST_FRAMES, ADJUST_CONSERVATIVE };

/* What becomes of a stack that is larger than it need be: it is kept; halved when a quarter would do. */
enum grow_shrink { SHRINK_REUSE, SHRINK_QUARTER };

struct grow_spec {
	enum grow_kind kind;
	size_t limit; /* bytes it may grow to; demand and fixed: its addresses, a multiple of the page */
	enum grow_adjust adjust;
	enum grow_shrink shrink;
	bool resign; /* copy: sign return addresses anew that were signed for the old place */
	bool paint; /* fixed, and what is new of a copied one; demand always, as it has to clear anyway */
};

/* So many old places are remembered, so that a pointer to one is called by name. */
#define MAX_RETIRED 32

struct growth {
	struct thread *thread; /* NULL: not in use */
	struct grow_spec spec;
	uintptr_t lowest; /* of its addresses now */
	uintptr_t top;
	unsigned long growths, shrinks;
	unsigned long pages_in_holes;  /* demand: mapped below a page that was not */
	unsigned long words, pointers; /* copy: looked at, and rewritten but for frame records */
	unsigned long records, resigned,
		foreign; /* frame records; signatures made anew, or not ours */
	struct stack retired[MAX_RETIRED];
	unsigned int retirements;
};

/*
 * A thread named so that will run function(argument) on such a stack, in the run queue. NULL, and nothing kept:
 * no thread object, no growth record, no addresses, or the reserve has too few pages for its beginning.
 */
struct thread *grow_thread(const char *name, void (*function)(void *), void *argument,
			   const struct grow_spec *spec);

/* The same in no queue yet: for another CPU (smp_run). */
struct thread *grow_make(const char *name, void (*function)(void *), void *argument,
			 const struct grow_spec *spec);

#define grow_thread(name, function, argument, spec)                                                \
	({                                                                                         \
		STACK_START(name, function, 0)                                                     \
		(grow_thread)(name, function, argument, spec);                                     \
	})
#define grow_make(name, function, argument, spec)                                                  \
	({                                                                                         \
		STACK_START(name, function, 0)                                                     \
		(grow_make)(name, function, argument, spec);                                       \
	})

/* The stack of an ended thread: false, and nothing done, if it is none that grows. */
bool grow_release(struct thread *t);

/*
 * Have `bytes` mapped below SP now (demand): before interrupts are masked or a lock is taken, where growing
 * is refused. False: beyond its end, or no pages.
 */
bool grow_prefault(size_t bytes);

/* Ask for `bytes` below SP, and the guard: what a prologue does. SP is another afterwards, if it had to be. */
static inline void grow_ask(size_t bytes)
{
	register size_t wanted __asm__("x10") = bytes;

	__asm__ volatile("svc %0" ::"i"(SVC_GROW), "r"(wanted) : "memory");
}

/* A safe point: nothing on this stack is in use but by its own thread. Halve it once, if SHRINK_QUARTER says so. */
static inline void grow_ask_smaller(void)
{
	__asm__ volatile("svc %0" ::"i"(SVC_SHRINK) : "memory");
}

/* --- for grow_demand.c and grow_copy.c ----------------------------------------------------------- */

/* May a stack grow while f is interrupted? False, and why not. */
bool grow_allowed(const struct frame *f, enum fault_class *why);

/* A place that the stack has left, by the name of stale:THREAD.N, while no other stack is there. */
void grow_remember(struct growth *g, uintptr_t lowest, size_t size);

/* The stack's first bytes, at g->lowest: sets base, size and room, and g->top. False: no pages. */
bool demand_begin(struct growth *g, struct stack *s);
bool copy_begin(struct growth *g, struct stack *s);

#endif
