/*
 * Stack labs: an interrupt at every instruction of a window that holds an exception's entry, a switch to
 * another thread and back, and the exit. Every register has a known value, looked at after each.
 *
 * Interrupts are open nowhere but in the window and in the partner, both assembly: an entry that clobbers
 * registers is then found by the check, and breaks nothing else before.
 */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/placement.h"
#include "labs/lib/routines.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

STACK_CALLS("kernel/report/exception.c:dispatch", "note_landing",
	    "tick_hook: stack.registers sets it")

/* How long after arming the timer fires, in its counts of 16 instructions (icount shift 0). */
#define LEAD_COUNTS 80

/* Where the interrupts found the CPU: in the delay, behind the svc, at the partner's. */
static struct {
	unsigned long total, before, behind, partner;
} landed;

static void note_landing(void)
{
	uintptr_t pc = current()->frame.elr;

	timer_stop();
	WRITE_ONCE(lab_hit, 1);
	landed.total++;
	if (pc >= (uintptr_t)lab_registers && pc <= (uintptr_t)lab_registers_svc)
		landed.before++;
	else if (pc > (uintptr_t)lab_registers_svc && pc < (uintptr_t)lab_registers_end)
		landed.behind++;
	else if (pc >= (uintptr_t)lab_partner && pc < (uintptr_t)lab_partner_end)
		landed.partner++;
}

static unsigned long place(unsigned long instructions)
{
	WRITE_ONCE(lab_hit, 0);
	return lab_registers(placement_arm(LEAD_COUNTS, instructions));
}

#define SWEEP_PARAMS(P) P(points, 1500, 1, 4000, "instructions by which the interrupt is moved")

LAB(stack, registers, "an interrupt at every instruction of a window, every register checked",
    SWEEP_PARAMS)
{
	unsigned long points = 0;
	unsigned long registers = 0;

	irq_save();
	timer_stop();
	placement_init();
	if (!thread_create("partner", lab_partner, NULL, PAGE_SIZE))
		panic("no-partner");
	tick_hook = note_landing;
	for (unsigned long i = 0; i < a->points; i++) {
		unsigned long clobbered = place(i);

		registers += clobbered;
		points += clobbered != 0;
	}
	report("[stack-lab] sweep points=%lu landed=%lu before=%lu behind=%lu partner=%lu",
	       a->points, landed.total, landed.before, landed.behind, landed.partner);
	report("[stack-lab] clobbered points=%lu registers=%lu", points, registers);
	end(points ? "caught by=register-check" : "ok");
}
