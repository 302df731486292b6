/*
 * Stacks that move to grow: SVC_GROW comes from a prologue's check (grow_check.S), runs on the exception
 * stack, and finds all of the thread's registers in its frame. Everything is looked at first; what then is
 * done cannot fail. What is rewritten in the copy: grow_adjust.c.
 */
#include "arch/esr.h"
#include "base/protect.h"
#include "mem/growspace.h"
#include "proc/grow.h"
#include "proc/grow_adjust.h"
#include "report/upcall.h"

/* The first stack is smaller than a page: it lies at its beginning, so that the guard is exactly below. */
bool copy_begin(struct growth *g, struct stack *s)
{
	if (!growspace_map(g->lowest, ALIGN_UP(GROW_FIRST, PAGE_SIZE)))
		return false;
	g->top = g->lowest + GROW_FIRST;
	s->base = g->lowest;
	s->size = GROW_FIRST;
	s->prepared = g->spec.paint;
	stack_put_guard_words(s);
	if (g->spec.paint)
		stack_paint(s->base + GUARD_WORDS_BYTES, g->top);
	return true;
}

/* The place that was left: no longer mapped, its pages for reuse, its addresses remembered by name. */
static void retire(struct growth *g, uintptr_t lowest, size_t size)
{
	grow_remember(g, lowest, size);
	if (!protected(PROTECT_RETIRE))
		return;
	growspace_unmap(lowest, ALIGN_UP(size, PAGE_SIZE));
	growspace_give(lowest);
}

static bool move(struct growth *g, struct frame *f, size_t size)
{
	struct stack *s = &g->thread->stack;
	struct copied old = { s->base, g->top, .sp = f->sp };
	uintptr_t lowest;

	if (!growspace_take(ALIGN_UP(size, PAGE_SIZE), &lowest))
		return false;
	if (!growspace_map(lowest, ALIGN_UP(size, PAGE_SIZE))) {
		growspace_give(lowest);
		return false;
	}
	old.delta = lowest + size - g->top;
	grow_adjust(g, f, &old);
	retire(g, g->lowest, s->size);
	g->lowest = lowest;
	g->top = lowest + size;
	s->base = lowest;
	s->size = size;
	stack_put_guard_words(s);
	if (g->spec.paint)
		stack_paint(s->base + GUARD_WORDS_BYTES, f->sp);
	g->thread->guard0 = s->base + GROW_GUARD;
	return true;
}

/* At least twice the size, and until what is asked for fits above the guard. */
static size_t next_size(const struct growth *g, const struct frame *f)
{
	size_t needed = g->top - f->sp + f->x[10] + GROW_GUARD;
	size_t size = g->thread->stack.size * 2;

	while (size < needed && size <= g->spec.limit)
		size *= 2;
	return size;
}

static struct frame *grow(struct growth *g, struct frame *f)
{
	size_t size = next_size(g, f);
	enum fault_class why;

	if (!grow_allowed(f, &why))
		return fault_as(f, why);
	if (size > g->spec.limit)
		return fault_as(f, CLASS_GROW_LIMIT);
	if (!move(g, f, size))
		return fault_as(f, CLASS_STACK_OOM);
	g->growths++;
	return f;
}

/* Go's rule: half the size when less than a quarter is in use. The guard has to fit as well. */
static void shrink(struct growth *g, struct frame *f)
{
	size_t size = g->thread->stack.size;
	size_t used = g->top - f->sp;
	enum fault_class why;

	if (g->spec.shrink != SHRINK_QUARTER || size == GROW_FIRST || used >= size / 4 ||
	    used + GROW_GUARD > size / 2 || !grow_allowed(f, &why))
		return;
	if (move(g, f, size / 2))
		g->shrinks++;
}

struct frame *grow_call(struct frame *f)
{
	struct growth *g = current()->growth;

	if (!g || g->spec.kind != GROW_COPY)
		return f;
	if (esr_immediate(f->esr) == SVC_GROW)
		return grow(g, f);
	shrink(g, f);
	return f;
}
