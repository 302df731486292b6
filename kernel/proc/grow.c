/* Making and ending threads whose stacks grow, and when none may. See grow.h. */
#include "proc/grow.h"

#include "arch/sysreg.h"
#include "report/format.h"
#include "base/protect.h"
#include "base/string.h"
#include "mem/growspace.h"
#include "mem/window.h"
#include "proc/sched.h"
#include "proc/thread.h"
#include "report/fault.h"

#define MAX_GROWING 4
#define SPSR_IRQ_MASKED (1UL << 7)

static struct growth growths[MAX_GROWING];

static struct growth *free_growth(void)
{
	for (int i = 0; i < MAX_GROWING; i++)
		if (!growths[i].thread)
			return &growths[i];
	return NULL;
}

/* The handler that looks at f runs with interrupts masked and has taken no lock yet: what counts is f's. */
bool grow_allowed(const struct frame *f, enum fault_class *why)
{
	if (protected(PROTECT_GROW_LOCKED) && spin_held()) {
		*why = CLASS_GROW_LOCKED;
		return false;
	}
	if (protected(PROTECT_GROW_MASKED) && f->spsr & SPSR_IRQ_MASKED) {
		*why = CLASS_GROW_MASKED;
		return false;
	}
	return true;
}

/* protect=-guard: memory where the guards should be. */
static void fill_guards(const struct growth *g)
{
	growspace_fill(growspace_count().free + 2);
	growspace_map(g->lowest - PAGE_SIZE, PAGE_SIZE);
	growspace_map(g->top, PAGE_SIZE);
}

void grow_remember(struct growth *g, uintptr_t lowest, size_t size)
{
	struct stack *old = &g->retired[g->retirements % MAX_RETIRED];
	struct text name = text_in(old->name, sizeof(old->name));

	if (old->retired)
		stack_unregister(old);
	*old = (struct stack){ .base = lowest + size, .room = size, .retired = true };
	text_format(&name, "stale:%s.%u", g->thread->name, g->retirements++);
	stack_register(old);
}

static bool begin(struct growth *g, struct stack *s)
{
	bool copied = g->spec.kind == GROW_COPY;
	size_t addresses = copied ? ALIGN_UP(GROW_FIRST, PAGE_SIZE) : g->spec.limit;

	if (!growspace_take(addresses, &g->lowest))
		return false;
	if (copied ? copy_begin(g, s) : demand_begin(g, s))
		return true;
	growspace_give(g->lowest);
	return false;
}

struct thread *(grow_make)(const char *name, void (*function)(void *), void *argument,
			   const struct grow_spec *spec)
{
	struct growth *g = free_growth();
	struct thread *t = g ? thread_make(name, function, argument, PAGE_SIZE, PAGE_SIZE) : NULL;
	struct stack s = { .guard = PAGE_SIZE };

	if (!t)
		return NULL;
	*g = (struct growth){ .thread = t, .spec = *spec };
	if (!begin(g, &s)) {
		*g = (struct growth){ .thread = NULL };
		thread_free(t);
		return NULL;
	}
	string_copy(s.name, t->stack.name, sizeof(s.name));
	window_stack_free(&t->stack);
	t->stack = s;
	t->growth = g;
	t->frame.sp = g->top;
	if (spec->kind == GROW_COPY && protected(PROTECT_GROWTH))
		t->guard0 = s.base + GROW_GUARD;
	/* Where a copied stack ends, its check says; its guards move with it, and stay. */
	if (!protected(PROTECT_GUARD) && spec->kind != GROW_COPY)
		fill_guards(g);
	stack_register(&t->stack);
	return t;
}

struct thread *(grow_thread)(const char *name, void (*function)(void *), void *argument,
			     const struct grow_spec *spec)
{
	struct thread *t = grow_make(name, function, argument, spec);

	if (t)
		sched_ready(t);
	return t;
}

/* A place that protect=-retire left mapped has kept its addresses and its pages until now. */
static void release_retired(struct growth *g)
{
	for (int i = 0; i < MAX_RETIRED; i++) {
		struct stack *old = &g->retired[i];

		if (!old->retired)
			continue;
		stack_unregister(old);
		if (protected(PROTECT_RETIRE))
			continue;
		growspace_unmap(old->base - old->room, old->room);
		growspace_give(old->base - old->room);
	}
}

bool grow_release(struct thread *t)
{
	struct growth *g = t->growth;

	if (!g)
		return false;
	release_retired(g);
	stack_unregister(&t->stack);
	/* The guards too: protect=-guard has mapped them. */
	growspace_unmap(g->lowest - PAGE_SIZE,
			ALIGN_UP(g->top, PAGE_SIZE) + 2 * PAGE_SIZE - g->lowest);
	growspace_give(g->lowest);
	t->growth = NULL;
	g->thread = NULL;
	return true;
}
