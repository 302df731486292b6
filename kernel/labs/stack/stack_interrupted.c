/*
 * Stack labs: an interrupt at every instruction of an overflow. A thread with a known value in every
 * register pushes until its stack ends; each time another one, each time the interrupt an instruction
 * earlier. What the frame of the dead thread holds is looked at once it is dead.
 *
 * Interrupts are open in that thread alone, and while a late one is waited for.
 */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/placement.h"
#include "labs/lib/routines.h"
#include "labs/lib/victim.h"
#include "proc/thread.h"
#include "report/classify.h"
#include "report/fault.h"
#include "report/report.h"

STACK_CALLS("kernel/report/exception.c:dispatch", "note_interrupt",
	    "tick_hook: stack.interrupted sets it")
STACK_CALLS("kernel/report/fault.c:handle", "examine_death",
	    "fault_expected_hook: stack.interrupted sets it")
STACK_SWITCHES("kernel/labs/lib/routines.S:lab_overflow_known",
	       "it points SP near the end of its stack, and pushes until that ends")
STACK_DYNAMIC("kernel/labs/lib/routines.S:lab_overflow_known", 512,
	      "it pushes from 512 bytes above the end of its stack, and dies there")

/* How long after arming the timer fires, in its counts of 16 instructions (icount shift 0). */
#define LEAD_COUNTS 30

#define PUSH 16
#define PUSHES 32 /* from where the thread begins down to its stack's end */
#define PLACES (2 * PUSHES + 1)

static struct {
	unsigned long total, before, overflow, behind;
	bool at[PLACES]; /* was there an interrupt before this instruction of the overflow? */
} landed;

/* Which instruction of the overflow is next: the push and the branch take turns. */
static size_t place_of(const struct frame *f)
{
	size_t pushed = (current()->stack.base + PUSHES * PUSH - f->sp) / PUSH;

	return 2 * pushed - (f->elr != (uintptr_t)lab_overflow_push);
}

static void note_interrupt(void)
{
	const struct frame *f = &current()->frame;

	timer_stop();
	WRITE_ONCE(lab_hit, 1);
	landed.total++;
	if (f->elr >= (uintptr_t)lab_overflow_push && f->elr < (uintptr_t)lab_overflow_end) {
		landed.overflow++;
		landed.at[place_of(f)] = true;
	} else if (f->elr >= (uintptr_t)lab_overflow_known &&
		   f->elr < (uintptr_t)lab_overflow_push) {
		landed.before++;
	} else {
		landed.behind++;
	}
}

static struct {
	const struct thread *victim;
	unsigned long by_guard, by_sentinel; /* deaths */
	unsigned long points, registers;     /* deaths with a register that is not what it was */
	unsigned long moved;		     /* deaths elsewhere than where the overflow is */
} found;

static unsigned long clobbered(const struct frame *f)
{
	unsigned long count = 0;

	for (unsigned long i = 1; i <= 30; i++)
		count += f->x[i] != LAB_KNOWN * i;
	return count;
}

/* The push that leaves the stack faults with SP where it was, at the very end. */
static bool in_place(const struct finding *n)
{
	const struct frame *f = n->frame;
	uintptr_t base = current()->stack.base;

	if (n->class == CLASS_OVERFLOW)
		return f->elr == (uintptr_t)lab_overflow_push && f->sp == base &&
		       f->far == base - PUSH;
	return n->class == CLASS_SENTINEL && f->elr >= (uintptr_t)lab_overflow_push &&
	       f->elr < (uintptr_t)lab_overflow_end && f->sp < base + GUARD_WORDS_BYTES;
}

static bool examine_death(const struct finding *n)
{
	unsigned long registers = clobbered(n->frame);

	if (current() != found.victim)
		return false;
	found.by_guard += n->class == CLASS_OVERFLOW;
	found.by_sentinel += n->class == CLASS_SENTINEL;
	found.registers += registers;
	found.points += registers != 0;
	found.moved += !in_place(n);
	return true;
}

static void known_victim(void *instructions)
{
	irq_save();
	lab_overflow_known(placement_arm(LEAD_COUNTS, (unsigned long)instructions),
			   current()->stack.base + PUSHES * PUSH);
}

/* Returns when the interrupt has come. */
static void place(unsigned long instructions)
{
	struct thread *t = thread_create("victim", known_victim, (void *)instructions, PAGE_SIZE);

	if (!t)
		panic("no-victim");
	found.victim = t;
	WRITE_ONCE(lab_hit, 0);
	if (thread_join(t, NULL) != THREAD_KILLED)
		panic("not-killed");
	lab_await_hit();
}

static unsigned long places_hit(void)
{
	unsigned long count = 0;

	for (size_t i = 0; i < PLACES; i++)
		count += landed.at[i];
	return count;
}

#define INTERRUPTED_PARAMS(P)                                                                      \
	P(points, 600, 1, 2000, "instructions by which the interrupt is moved")

LAB(stack, interrupted, "an interrupt at every instruction of an overflow, every register checked",
    INTERRUPTED_PARAMS)
{
	irq_save();
	timer_stop();
	placement_init();
	victim_neighbour();
	tick_hook = note_interrupt;
	fault_expected_hook = examine_death;
	for (unsigned long i = 0; i < a->points; i++)
		place(i);
	report("[stack-lab] sweep points=%lu landed=%lu before=%lu overflow=%lu behind=%lu places=%lu of=%d",
	       a->points, landed.total, landed.before, landed.overflow, landed.behind, places_hit(),
	       PLACES);
	report("[stack-lab] deaths guard-page=%lu sentinel=%lu elsewhere=%lu", found.by_guard,
	       found.by_sentinel, found.moved);
	report("[stack-lab] clobbered points=%lu registers=%lu", found.points, found.registers);
	end(found.points || found.moved ? "caught by=register-check" : "ok");
}
