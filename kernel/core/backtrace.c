/*
 * The walk. A frame record {x29, x30} lies at the bottom of each function's frame, so the distance
 * from one record to the next is a frame's size. A record is believed only inside a registered stack,
 * only upwards; between stacks the walk moves only through the record of an exception frame.
 *
 * Equal neighbours (recursion) are folded: times=N.
 */
#include "core/backtrace.h"

#include "arch/virt.h"
#include "core/protect.h"
#include "core/report.h"
#include "core/stack.h"
#include "core/symbol.h"
#include "core/thread.h"
#include "core/where.h"

struct row {
	uintptr_t pc;
	bool is_return; /* pc is a return address: the call is before it */
	bool via_lr;	/* not from a record but from x30 of an interrupted prologue */
	size_t frame;	/* bytes */
	const char *stack;
};

static const char at_exception[] = "exception";

struct walk {
	const struct frame *outer; /* the thread's frame, while a handler's records are walked */
	struct row pending;	   /* printed when the next differs */
	unsigned long times;
	unsigned long frames;
	size_t depth; /* bytes, all frames so far */
};

static void flush(struct walk *w)
{
	const struct row *r = &w->pending;

	if (!w->times)
		return;
	record_begin();
	record_add("[bt] #%lu ", w->frames - w->times);
	if (r->is_return)
		record_add("%pR", (void *)r->pc);
	else
		record_add("%pS", (void *)r->pc);
	record_add(" frame=%lu stack=%s", r->frame, r->stack);
	if (w->times > 1)
		record_add(" times=%lu", w->times);
	if (r->via_lr)
		record_add(" via=lr");
	record_end();
	w->times = 0;
}

static void visit(struct walk *w, struct row row)
{
	const struct row *p = &w->pending;
	bool same = w->times && p->pc == row.pc && p->frame == row.frame && p->stack == row.stack &&
		    p->via_lr == row.via_lr && p->is_return == row.is_return;

	if (!same)
		flush(w);
	w->pending = row;
	w->times++;
	w->frames++;
	w->depth += row.frame;
}

/*
 * Has the function at pc already made its frame record? Until `mov x29, sp` or `add x29, sp, #n` has run,
 * x29 is still the caller's and the caller's own pc is in x30. Assembly without a record looks the same.
 */
static bool frame_record_made(uintptr_t pc)
{
	struct symbol symbol;

	if (!symbol_find(pc, &symbol))
		return false;
	for (const uint32_t *i = (const uint32_t *)symbol.address; (uintptr_t)i < pc; i++)
		if ((*i & 0xff8003ff) == 0x910003fd)
			return true;
	return false;
}

/* Why this record cannot be followed from the one at `from` (0: the first), or NULL if it can. */
static const char *refuse(uintptr_t fp, uintptr_t from)
{
	const struct stack *s = stack_find(fp);

	if (!protected(PROTECT_BT_CHECK))
		return NULL;
	if (fp % 8)
		return "misaligned-record";
	if (!s || fp + 16 > stack_top(s))
		return "record-in-no-stack";
	if (from && s != stack_find(from))
		return "record-in-other-stack";
	if (from && fp == from)
		return "record-at-itself";
	if (from && fp < from)
		return "backwards";
	return NULL;
}

/* A signed return address (PAC) carries its signature between the address and bit 55. */
static uintptr_t strip_signature(uintptr_t pc)
{
	return pc & 1UL << 55 ? pc | KVA_BASE : pc;
}

/* The distance to the next record. A stack's oldest frame, called by assembly that made none, ends at its top. */
static size_t frame_size(const struct stack *s, uintptr_t fp, uintptr_t next)
{
	if (!s)
		return 0;
	return stack_contains(s, next) ? next - fp : stack_top(s) - fp;
}

/* Walk the records of one context from *fp; where it ended is *fp again, the reason is returned. */
static const char *walk_records(struct walk *w, struct row row, uintptr_t *fp)
{
	const char *why = refuse(*fp, 0);

	while (!why) {
		const struct stack *s = stack_find(*fp);
		const uintptr_t *record = (const uintptr_t *)*fp;
		uintptr_t next = record[0];
		bool exception = w->outer && next == (uintptr_t)&w->outer->record;

		if (next && !exception)
			why = refuse(next, *fp);
		row.stack = s ? s->name : "none";
		row.frame = why ? 0 : frame_size(s, *fp, next);
		visit(w, row);
		row = (struct row){ .pc = strip_signature(record[1]),
				    .is_return = true,
				    .stack = "none" };
		if (!where_is_text(row.pc))
			return "return-address-not-code";
		*fp = next;
		if (exception || !next) {
			row.stack = exception ? "frame" : s ? s->name : "none";
			why = exception ? at_exception : "entry";
		}
	}
	visit(w, row);
	return why;
}

/* The interrupted function itself, then its records. */
static const char *walk_context(struct walk *w, const struct frame *f, uintptr_t *fp)
{
	const struct stack *own = &current()->stack;
	const struct stack *s = stack_owns_sp(own, f->sp) ? own : stack_find_with_guards(f->sp);
	uintptr_t pc = f->elr;
	bool in_prologue = !frame_record_made(pc);

	*fp = f->x[29];
	if (in_prologue) {
		/* What it has taken of the stack so far lies between SP and the caller's record. */
		size_t taken = s && stack_contains(s, *fp) && *fp > f->sp ? *fp - f->sp : 0;

		visit(w, (struct row){ pc, false, false, taken, s ? s->name : "none" });
		if (!*fp && !f->x[30])
			return "entry";
		if (!where_is_text(f->x[30]))
			return "return-address-not-code";
		pc = f->x[30];
	}
	if (!*fp) {
		visit(w, (struct row){ pc, in_prologue, in_prologue, 0, s ? s->name : "none" });
		return "entry";
	}
	return walk_records(w, (struct row){ pc, in_prologue, in_prologue, 0, "none" }, fp);
}

void backtrace(const struct frame *f)
{
	const struct frame *interrupted = &current()->frame;
	struct walk w = { .outer = f == interrupted ? NULL : interrupted };
	uintptr_t fp;
	const char *why = walk_context(&w, f, &fp);

	if (why == at_exception) {
		w.outer = NULL;
		why = walk_context(&w, interrupted, &fp);
	}
	flush(&w);
	report("[bt] end why=%s frames=%lu depth=%lu", why, w.frames, w.depth);
}
