/*
 * The walk. x29 leads from one frame record {x29, x30} to the next. A frame ends where the next one begins, and
 * begins as far below its record as its function's own code says (prologue.h). A record is believed only inside
 * a registered stack, only upwards; between stacks the walk moves only through the record of an exception frame, and where one
 * context was entered from another: a handler from the thread it interrupted, a system call from EL0, EL0
 * from the kernel stack of its thread (via=kernel), a server from the thread that it serves (via=ipc).
 *
 * Equal neighbours (recursion) are folded: times=N.
 */
#include "report/backtrace.h"

#include "arch/user.h"
#include "arch/virt.h"
#include "base/current.h"
#include "base/protect.h"
#include "base/stack.h"
#include "base/string.h"
#include "base/symbol.h"
#include "report/prologue.h"
#include "report/report.h"
#include "report/upcall.h"
#include "report/where.h"

struct row {
	uintptr_t pc;
	bool is_return; /* pc is a return address: the call is before it */
	const char *
		via; /* how it was found, if not from a record: lr is x30 of an interrupted prologue */
	size_t frame; /* bytes */
	const char *stack;
};

static const char at_exception[] = "exception";

#define MAX_CONTEXTS 16 /* servers that wait for servers … */

struct walk {
	const struct thread *thread; /* whose contexts are walked */
	enum depth { IN_HANDLER, IN_THREAD, AT_EL0, AT_ROOT } context; /* walks go this way only */
	struct row pending;  /* printed when the next differs */
	const char *entered; /* via=, for the next row: how one came to this context */
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
	if (r->via)
		record_add(" via=%s", r->via);
	record_end();
	w->times = 0;
}

static void visit(struct walk *w, struct row row)
{
	const struct row *p = &w->pending;
	bool same;

	if (w->entered)
		row.via = w->entered;
	w->entered = NULL;
	same = w->times && p->pc == row.pc && p->frame == row.frame && p->stack == row.stack &&
	       p->via == row.via && p->is_return == row.is_return;

	if (!same)
		flush(w);
	w->pending = row;
	w->times++;
	w->frames++;
	w->depth += row.frame;
}

static const uint32_t *instruction_at(bool user, uintptr_t at)
{
	return user ? user_view(at) : (const uint32_t *)at;
}

/*
 * Between its last branch and pc, has the function restored its caller's x29? A compiler may put that before
 * the last stores, where a fault can still come.
 */
static bool is_undone(bool user, uintptr_t start, uintptr_t pc)
{
	for (uintptr_t at = pc - 4; at >= start && at < pc; at -= 4) {
		const uint32_t *i = instruction_at(user, at);

		if (!i || prologue_ends_line(*i))
			return false;
		if (prologue_is_undone_by(*i))
			return true;
	}
	return false;
}

/*
 * What the function at pc has made of its frame by then. Until `add x29, sp, #n` has run, x29 is still the
 * caller's and the caller's own pc is in x30. Assembly without a record looks the same.
 */
static struct prologue prologue_until(uintptr_t pc)
{
	struct prologue p = PROLOGUE_BEGIN;
	struct symbol symbol;
	const char *program;
	bool user = user_symbol(pc, &symbol, &program);

	if (!user && !symbol_find(pc, &symbol))
		return p;
	for (uintptr_t at = symbol.address; at < pc && !p.over; at += 4) {
		const uint32_t *i = instruction_at(user, at);

		if (i)
			prologue_step(&p, *i);
	}
	p.made = p.made && !is_undone(user, symbol.address, pc);
	return p;
}

uintptr_t frame_bottom(uintptr_t record, uintptr_t pc, bool is_return)
{
	struct prologue p = prologue_until(is_return ? pc - 4 : pc);

	return record - prologue_below(&p);
}

static bool is_code(uintptr_t pc)
{
	struct symbol symbol;
	const char *program;

	return where_is_text(pc) || user_symbol(pc - 1, &symbol, &program);
}

/* The frame that this context was entered from, if `record` is its record. */
static const struct frame *entered_from(const struct walk *w, uintptr_t record)
{
	const struct thread *t = w->thread;

	if (w->context < IN_THREAD && record == (uintptr_t)&t->frame.record)
		return &t->frame;
	return w->context < AT_EL0 && t->user && record == (uintptr_t)&t->user->record ? t->user
										       : NULL;
}

/* Why this record cannot be followed from the one at `from` (0: the first), or NULL if it can. */
static const char *refuse(const struct walk *w, uintptr_t fp, uintptr_t from)
{
	const struct stack *s = stack_find(fp);

	if (!protected(PROTECT_BT_CHECK))
		return NULL;
	if (fp % 8)
		return "misaligned-record";
	if (!s || fp + 16 > stack_top(s))
		return "record-in-no-stack";
	if (from ? s != stack_find(from) : w->context == AT_EL0 && s != w->thread->user_stack)
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

/*
 * Bytes from this frame's bottom to its caller's. A stack's oldest frame, called by assembly that made none,
 * ends at the stack's top; a system call's oldest where EL0 was entered from.
 */
static size_t frame_size(const struct walk *w, const struct stack *s, const struct row *r,
			 uintptr_t fp, const struct row *caller, uintptr_t next)
{
	const struct thread *t = w->thread;
	uintptr_t end =
		w->context == IN_THREAD && t->user && s == &t->stack ? t->user_root : stack_top(s);

	if (stack_contains(s, next))
		end = frame_bottom(next, caller->pc, caller->is_return);
	return end - frame_bottom(fp, r->pc, r->is_return);
}

/* Walk the records of one context from *fp; where it ended is *fp again, the reason is returned. */
static const char *walk_records(struct walk *w, struct row row, uintptr_t *fp)
{
	const char *why = refuse(w, *fp, 0);

	while (!why) {
		const struct stack *s = stack_find(*fp);
		const uintptr_t *record = s ? stack_word(s, *fp) : (const uintptr_t *)*fp;
		uintptr_t next = record[0];
		struct row caller = { strip_signature(record[1]), true, NULL, 0, "none" };
		const struct frame *outer = entered_from(w, next);

		if (next && !outer)
			why = refuse(w, next, *fp);
		row.stack = s ? s->name : "none";
		row.frame = why || !s ? 0 : frame_size(w, s, &row, *fp, &caller, next);
		visit(w, row);
		row = caller;
		if (!is_code(row.pc))
			return "return-address-not-code";
		*fp = next;
		if (outer || !next) {
			row.stack = outer ? "frame" : s ? s->name : "none";
			why = outer ? at_exception : "entry";
		}
	}
	visit(w, row);
	return why;
}

/* The interrupted function itself, then its records. */
static const char *walk_context(struct walk *w, const struct frame *f, uintptr_t *fp)
{
	const struct stack *own = frame_is_user(f) ? w->thread->user_stack : &w->thread->stack;
	const struct stack *s = stack_owns_sp(own, f->sp) ? own : stack_find_with_guards(f->sp);
	uintptr_t pc = f->elr;
	/* The kernel in a program's code: what that does to x29, it did not do here. */
	bool strayed = !frame_is_user(f) && pc < KVA_BASE;
	bool in_prologue = strayed || !prologue_until(pc).made;
	const char *via = in_prologue ? "lr" : NULL;

	*fp = f->x[29];
	if (entered_from(w, *fp)) {
		visit(w, (struct row){ pc, false, NULL, 0, s ? s->name : "none" });
		return at_exception;
	}
	if (in_prologue) {
		/* What it has taken of the stack by now lies between SP and the caller's frame. */
		bool inside = s && stack_contains(s, *fp);
		uintptr_t end = inside ? frame_bottom(*fp, f->x[30], true) : 0;
		size_t taken = end > f->sp ? end - f->sp : 0;

		visit(w, (struct row){ pc, false, NULL, taken, s ? s->name : "none" });
		if (!*fp && !f->x[30])
			return "entry";
		if (!is_code(f->x[30]))
			return "return-address-not-code";
		pc = f->x[30];
	}
	if (!*fp) {
		visit(w, (struct row){ pc, in_prologue, via, 0, s ? s->name : "none" });
		return "entry";
	}
	return walk_records(w, (struct row){ pc, in_prologue, via, 0, "none" }, fp);
}

/* What is left when EL0's own walk has ended: who went there, on the thread's kernel stack. */
static const char *walk_root(struct walk *w)
{
	const struct thread *t = w->thread;
	uintptr_t fp = t->user_root;

	w->context = AT_ROOT;
	w->entered = "kernel";
	return walk_records(w, (struct row){ t->user_entry, true, NULL, 0, "none" }, &fp);
}

/* From the context of f outwards, through every one that this thread has. */
static const char *walk_thread(struct walk *w, const struct frame *f)
{
	const struct thread *t = w->thread;
	uintptr_t fp;
	const char *why;

	for (;;) {
		if (frame_is_user(f))
			w->context = AT_EL0;
		else
			w->context = f == &t->frame ? IN_THREAD : IN_HANDLER;
		why = walk_context(w, f, &fp);
		if (why != at_exception)
			break;
		f = entered_from(w, fp);
	}
	return w->context == AT_EL0 && strcmp(why, "entry") == 0 ? walk_root(w) : why;
}

void backtrace(const struct frame *f)
{
	struct walk w = { .thread = current() };
	const char *why = walk_thread(&w, f);

	/* A server's walk goes on with the one that it serves. */
	for (int i = 0; i < MAX_CONTEXTS && w.thread->serving && strcmp(why, "entry") == 0; i++) {
		w.thread = w.thread->serving;
		flush(&w);
		where_subject = w.thread;
		w.entered = "ipc";
		why = walk_thread(&w, &w.thread->frame);
	}

	flush(&w);
	where_subject = NULL;
	report("[bt] end why=%s frames=%lu depth=%lu", why, w.frames, w.depth);
}
