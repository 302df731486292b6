/*
 * Edges: what one byte more or less makes of an address. Each is touched by a victim of its own,
 * which dies of it without a report; what it was called is one line. So a bound that is off by one
 * is a line that differs. scenarios/test_crash.py and test_stack.py are the other half.
 */
#include "arch/mmu.h"
#include "base/poison.h"
#include "base/stack_note.h"
#include "base/string.h"
#include "lab/lab.h"
#include "labs/lib/routines.h"
#include "labs/lib/victim.h"
#include "proc/sched.h"
#include "proc/thread.h"
#include "report/classify.h"
#include "report/fault.h"
#include "report/report.h"

STACK_STARTS("thread:victim", "edge_victim edge_code_victim edge_sp_victim", 16 * KiB,
	     "dies() starts what it is given")
STACK_CALLS("kernel/report/fault.c:handle", "note_finding",
	    "fault_expected_hook: the labs called edges set it")

#define VICTIM_STACK (16 * KiB)
#define INSTRUCTION 4 /* bytes */

static const struct thread *touching;
static struct finding seen;
static char seen_stack[STACK_NAME_MAX]; /* the victim's own is gone by the time that it is told */

/* fault_expected_hook: the victim dies, and nothing is said. */
static bool note_finding(const struct finding *n)
{
	if (current() != touching)
		return false;
	seen = *n;
	string_copy(seen_stack, n->stack ? n->stack->name : "none", sizeof(seen_stack));
	return true;
}

static void edge_victim(void *address)
{
	FAULT_SITE(edge, "strb wzr, [%0]", "r"(address));
}

static void edge_code_victim(void *address)
{
	((void (*)(void))address)();
}

static void edge_sp_victim(void *sp)
{
	lab_push_at((uintptr_t)sp);
}

/* False: it came back. */
static bool dies(void (*victim)(void *), void *address)
{
	struct thread *t = thread_make("victim", victim, address, VICTIM_STACK, PAGE_SIZE);

	if (!t)
		panic("no-victim");
	touching = t;
	sched_ready(t);
	return thread_join(t, NULL) == THREAD_KILLED;
}

static const char *class_name(bool died)
{
	return died ? fault_classes[seen.class].name : "none";
}

/* --- addresses that are no stack's ------------------------------------------------------------ */

static const struct {
	const char *name;
	uintptr_t address;
} addresses[] = {
	{ "null", 0 },
	{ "null-last", PAGE_SIZE - 1 },
	{ "low-first", PAGE_SIZE },
	{ "low-last", (1UL << 39) - 1 },
	{ "between-first", 1UL << 39 },
	{ "between-last", KVA_BASE - 1 },
	{ "high-first", KVA_BASE },
	{ "high-last", UINT64_MAX },
	{ "before-poison", POISON_FREED - 1 },
	{ "poison", POISON_FREED },
	{ "poison-last", POISON_FREED + PAGE_SIZE - 1 },
	{ "after-poison", POISON_FREED + PAGE_SIZE },
	{ "before-devices", KVA_BASE + DEVICES_BASE - 1 },
	{ "after-devices", KVA_BASE + DEVICES_BASE + DEVICES_SIZE },
};

/*
 * A PC that is misaligned is a fault of its own, and comes before any abort: so the instruction that is gone to
 * lies on the same side of the bound. With odd=1 it is gone to the address as it is. The poison's bounds are
 * the only ones whose first byte is misaligned.
 */
static uintptr_t code_at(uintptr_t address, bool odd)
{
	bool first = address % PAGE_SIZE == POISON_FREED % PAGE_SIZE;

	if (odd)
		return address;
	return first ? ALIGN_UP(address, INSTRUCTION) : ALIGN_DOWN(address, INSTRUCTION);
}

#define EDGES_PARAMS(P) P(odd, 0, 0, 1, "1: go to each address as it is, misaligned or not")

/* To write there, and to go there. */
LAB(crash, edges, "what an address is called, at each side of each bound", EDGES_PARAMS)
{
	fault_expected_hook = note_finding;
	victim_neighbour();
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		uintptr_t at = addresses[i].address, code = code_at(at, a->odd);
		const char *written = class_name(dies(edge_victim, (void *)at));
		const char *executed = class_name(dies(edge_code_victim, (void *)code));

		report("[crash-lab] edge at=%s write=%s exec=%s", addresses[i].name, written,
		       executed);
	}
}

/* --- a stack and its guards ------------------------------------------------------------------- */

enum edge { EDGE_BASE, EDGE_TOP };

struct stack_edge {
	const char *name;
	enum edge edge;
	int64_t offset; /* bytes from there */
	bool guarded;	/* nobody comes back from it */
};

/* By a pointer. */
static const struct stack_edge touched[] = {
	{ "bottom", EDGE_BASE, GUARD_WORDS_BYTES, false },
	{ "below-first", EDGE_BASE, -1, true },
	{ "below-last", EDGE_BASE, -(int64_t)PAGE_SIZE, true },
	{ "under-guard", EDGE_BASE, -(int64_t)PAGE_SIZE - 1, false },
	{ "above-first", EDGE_TOP, 0, true },
	{ "above-last", EDGE_TOP, PAGE_SIZE - 1, true },
	{ "over-guard", EDGE_TOP, PAGE_SIZE, false },
};

/* SP itself; 16 bytes are pushed below it. */
static const struct stack_edge pushed[] = {
	{ "bottom", EDGE_BASE, GUARD_WORDS_BYTES + 16, false },
	{ "below-first", EDGE_BASE, 0, true },
	{ "below-last", EDGE_BASE, -(int64_t)PAGE_SIZE + 16, true },
	{ "under-guard", EDGE_BASE, -(int64_t)PAGE_SIZE, false },
	{ "above-first", EDGE_TOP, 16, true },
	{ "above-last", EDGE_TOP, PAGE_SIZE, true },
	{ "over-guard", EDGE_TOP, PAGE_SIZE + 16, false },
};

static void report_edge(const char *by, const char *name, bool died)
{
	record_begin();
	record_add("[stack-lab] edge by=%s at=%s class=%s", by, name, class_name(died));
	if (died)
		record_add(" stack=%s", seen_stack);
	if (died && seen.guard)
		record_add(" guard=%s past=%lu sp=%s", seen.guard, seen.beyond,
			   seen.by_sp ? "guilty" : "innocent");
	record_end();
}

/* The same place each time, as the last victim has given it back. */
static struct stack probe(void)
{
	struct thread *t = thread_make("victim", edge_victim, NULL, VICTIM_STACK, PAGE_SIZE);
	struct stack s;

	if (!t)
		panic("no-victim");
	s = t->stack;
	thread_free(t);
	return s;
}

/* How many came back from a guard. */
static unsigned int try_edges(const char *by, void (*victim)(void *),
			      const struct stack_edge *edges, size_t count)
{
	struct stack s = probe();
	unsigned int missed = 0;

	for (size_t i = 0; i < count; i++) {
		uintptr_t from = edges[i].edge == EDGE_BASE ? s.base : stack_top(&s);
		bool died = dies(victim, (void *)(from + (uintptr_t)edges[i].offset));

		report_edge(by, edges[i].name, died);
		missed += edges[i].guarded && !died;
	}
	return missed;
}

LAB(stack, edges, "what is called an overflow of which stack, at each side of each bound",
    NO_PARAMS)
{
	unsigned int missed;

	fault_expected_hook = note_finding;
	victim_neighbour();
	missed = try_edges("pointer", edge_victim, touched, ARRAY_SIZE(touched));
	missed += try_edges("push", edge_sp_victim, pushed, ARRAY_SIZE(pushed));
	end(missed ? "survived" : "ok");
}
