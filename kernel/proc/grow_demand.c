/*
 * Stacks whose pages come when they are touched. grow_fault() runs on the exception stack with interrupts
 * masked, allocates nothing, and returns to the very instruction that faulted: an aborted store, pre-indexed
 * ones included, has changed no register (Arm ARM D1.13.4).
 */
#include "arch/esr.h"
#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "base/protect.h"
#include "mem/growspace.h"
#include "proc/grow.h"
#include "report/upcall.h"

/* How far below SP a push may reach before SP follows: stp x, x, [sp, #-512]!. */
#define PUSH_REACH 512

/* All of it at once (fixed), or the first page. */
bool demand_begin(struct growth *g, struct stack *s)
{
	size_t first = g->spec.kind == GROW_FIXED ? g->spec.limit : PAGE_SIZE;
	bool paint = g->spec.kind == GROW_DEMAND || g->spec.paint;

	g->top = g->lowest + g->spec.limit;
	s->base = g->top - first;
	s->size = first;
	s->room = g->spec.limit - first;
	if (!growspace_map(s->base, first))
		return false;
	if (paint)
		stack_paint(s->base, g->top);
	s->prepared = paint;
	if (!s->room)
		stack_put_guard_words(s);
	return true;
}

/* The page is the stack's from now on. It may lie below others that were never touched: a hole. */
static void extend(struct growth *g, uintptr_t page)
{
	struct stack *s = &g->thread->stack;

	g->growths++;
	stack_paint(page, page + PAGE_SIZE);
	if (page >= s->base) {
		s->unbacked -= PAGE_SIZE;
		return;
	}
	s->unbacked += s->base - page - PAGE_SIZE;
	g->pages_in_holes += (s->base - page) / PAGE_SIZE - 1;
	s->size += s->base - page;
	s->room -= s->base - page;
	s->base = page;
	if (!s->room)
		stack_put_guard_words(s);
}

/* Is this the stack's own business: one of its pages that is not there, and SP where it should be? */
static bool is_growth(const struct growth *g, const struct frame *f)
{
	const struct stack *s = &g->thread->stack;
	uintptr_t floor = s->base - s->room;
	uintptr_t far = f->far;

	if (esr_class(f->esr) != EC_DABT_SAME || !esr_far_valid(f->esr) ||
	    esr_status_kind(f->esr) != FSC_TRANSLATION)
		return false;
	if (far - floor >= g->top - floor || f->sp - floor > g->top - floor)
		return false;
	return !protected(PROTECT_GROW_SP) || far + PUSH_REACH >= f->sp;
}

struct frame *grow_fault(struct frame *f)
{
	struct growth *g = current()->growth;
	uintptr_t page = ALIGN_DOWN(f->far, PAGE_SIZE);
	enum fault_class why;

	if (!protected(PROTECT_GROWTH) || !g || g->spec.kind != GROW_DEMAND || !is_growth(g, f))
		return NULL;
	if (!grow_allowed(f, &why))
		return fault_as(f, why);
	if (!growspace_map(page, PAGE_SIZE))
		return fault_as(f, CLASS_STACK_OOM);
	extend(g, page);
	return f;
}

bool grow_prefault(size_t bytes)
{
	struct growth *g = current()->growth;
	uintptr_t sp = stack_pointer;
	uint64_t flags;

	if (!g || sp - g->lowest < bytes)
		return false;
	flags = irq_save();
	for (uintptr_t page = ALIGN_DOWN(sp, PAGE_SIZE); page + PAGE_SIZE > sp - bytes;
	     page -= PAGE_SIZE) {
		if (mmu_page_of(page))
			continue;
		if (!growspace_map(page, PAGE_SIZE)) {
			irq_restore(flags);
			return false;
		}
		extend(g, page);
	}
	irq_restore(flags);
	return true;
}
