/* Injection labs: every call that may fail is made to fail. scenarios/test_inject.py is the other half. */
#include "report/inject.h"

#include "base/ledger.h"
#include "base/protect.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/operation.h"
#include "report/report.h"

LAB_NAMES(op_name)
STACK_CALLS(
	"run_step", "kernel/labs/*.c:operation_*",
	"labs/lib/operation.h: OPERATION() makes operation_<label>, and only those stand in the table")

#define NTH_MAX 1000 /* an operation that still fails then will never end */

/* The values of op=: all, then the operations by their names. */
static const char *op_name(uint64_t n)
{
	const struct operation *o = n ? operation_at(n - 1) : NULL;

	if (!n)
		return "all";
	return o ? o->name : NULL;
}

/* One run of an operation, looked at from outside. */
struct step {
	const struct operation *operation;
	const struct inject_site *site; /* NULL: nothing is injected by us */
	uint64_t nth;
	bool injected;
	bool done;     /* or refused */
	size_t leaked; /* allocations, by the ledger */
	size_t differ; /* counts, by the census */
};

/*
 * The early heap is never given back, so what was done may keep some of it; and what makes something for
 * ever, all that it took. What was refused, nothing.
 */
static bool may_keep(const struct step *s, bool for_good)
{
	return s->done && (for_good || s->operation->makes);
}

static void report_leaks(struct step *s)
{
	for (const struct ledger_entry *e = ledger_next(NULL); e; e = ledger_next(e)) {
		if (may_keep(s, e->site->for_good))
			continue;
		s->leaked++;
		report("[inject] leak site=%s bytes=%lu at=%pR from=%pR", e->site->name, e->bytes,
		       (void *)e->callers[0], (void *)e->callers[1]);
	}
}

static void report_census(struct step *s, const struct census *before)
{
	struct census now = take_census();

	for (int i = 0; i < NR_CENSUS; i++) {
		long grew = (long)(now.counts[i] - before->counts[i]);

		if (!grew || may_keep(s, i == CENSUS_EARLY))
			continue;
		s->differ++;
		report("[inject] census of=%s grew=%ld", census_names[i], grew);
	}
}

static void report_step(const struct step *s)
{
	record_begin();
	record_add("[inject] step op=%s", s->operation->name);
	if (s->site)
		record_add(" site=%s nth=%lu injected=%s", s->site->name, s->nth,
			   s->injected ? "yes" : "no");
	record_add(" outcome=%s", s->done ? "done" : "refused");
	if (operation_killed_by)
		record_add(" by=%s", operation_killed_by);
	record_add(" leaked=%lu", s->leaked);
	record_end();
	operation_killed_by = NULL;
}

/* A site that the operation does not come to is no news. */
static bool is_idle(const struct step *s)
{
	return s->site && !s->injected && s->nth == 1;
}

/*
 * Ledger and census are two witnesses, and neither needs the other: the one knows who, the other also
 * counts what is no allocation.
 */
static void judge(struct step *s, const struct census *before)
{
	if (protected(PROTECT_LEAK_CHECK)) {
		report_leaks(s);
		report_census(s, before);
	}
	if (!is_idle(s))
		report_step(s);
	if (ledger_missed)
		panic("ledger-full");
	if (!s->leaked && !s->differ)
		return;
	end("caught by=leak-check");
}

/* noinline: from here on GDB counts calls, for the same sweep from outside. */
__attribute__((noinline)) static void run_step(struct step *s)
{
	struct census before = take_census();

	if (protected(PROTECT_LEAK_CHECK))
		ledger_open();
	s->done = s->operation->run();
	ledger_close();
	if (s->site) {
		s->injected = inject_armed()->injected != 0;
		inject_disarm();
	}
	judge(s, &before);
}

struct tally {
	size_t injected, refused;
};

static void sweep_site(const struct operation *o, struct inject_site *site, size_t times,
		       struct tally *tally)
{
	for (uint64_t nth = 1;; nth++) {
		struct step s = { .operation = o, .site = site, .nth = nth };

		if (nth > NTH_MAX)
			panic("no-end-of-calls");
		inject_arm(site, &(struct inject_rule){ .nth = nth, .times = times });
		run_step(&s);
		tally->injected += s.injected;
		tally->refused += !s.done;
		if (s.injected)
			continue;
		if (!s.done)
			panic("refused-without-fault");
		return;
	}
}

static void sweep(const struct operation *o, size_t times)
{
	struct tally tally = { 0 };

	for (struct inject_site *site = inject_next(NULL); site; site = inject_next(site))
		sweep_site(o, site, times, &tally);
	report("[inject] swept op=%s injected=%lu refused=%lu done=%lu : %s", o->name,
	       tally.injected, tally.refused, tally.injected - tally.refused, o->sentence);
	if (o->planted)
		end("survived");
}

#define OP_PARAM(P) P(op, 0, 0, 63, "the operation, or all but what is planted", .name = op_name)
#define SWEEP_PARAMS(P)                                                                            \
	OP_PARAM(P) P(times, 1, 1, 1000, "calls in a row that fail, from the nth on")

LAB(inject, sweep, "each call that an operation makes at a site fails in turn", SWEEP_PARAMS)
{
	if (inject_armed())
		end("bad-args why=two-faults : inject.sweep injects its own; fault= goes with lab=inject.once");
	operations_prepare();
	if (a->op)
		sweep(operation_at(a->op - 1), a->times);
	for (size_t n = 0; !a->op && operation_at(n); n++)
		if (!operation_at(n)->planted)
			sweep(operation_at(n), a->times);
}

static void once(const struct operation *o)
{
	struct step s = { .operation = o };

	run_step(&s);
	if (o->planted)
		end("survived");
}

LAB(inject, once, "an operation as it is, for fault= and for GDB", OP_PARAM)
{
	operations_prepare();
	if (a->op)
		once(operation_at(a->op - 1));
	for (size_t n = 0; !a->op && operation_at(n); n++)
		if (!operation_at(n)->planted)
			once(operation_at(n));
}
