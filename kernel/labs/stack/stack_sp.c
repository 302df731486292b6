/*
 * Stack labs: SP itself is broken. Each victim points SP somewhere, pushes, and gives way once. What
 * the MMU does not catch at the push, the check at the switch does: never a plain overflow.
 */
#include "arch/mmu.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/routines.h"
#include "labs/lib/victim.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_SWITCHES("kernel/labs/lib/routines.S:lab_push_at",
	       "a push where SP points to no stack at all; calls nothing there")
STACK_TAKEN(
	"kernel/labs/lib/routines.S:lab_*",
	"stack.registers and stack.sp_text compare and compute with these addresses; calls are by name")
STACK_MARK("stack/sp_misaligned*", "thread:victim",
	   "lab_push_at loads SP with an address in the middle of its stack")

#define RTC_BASE 0x09010000 /* a device that takes any store: PL031 */

static void push_victim(void *sp)
{
	report("[stack-lab] pushing at=%pA", sp);
	lab_push_at((uintptr_t)sp);
	report("[stack-lab] came back");
}

LAB(stack, sp_unmapped, "SP in unmapped memory", NO_PARAMS)
{
	victim_run(push_victim, (void *)(STACK_WINDOW + STACK_WINDOW_PAGES * PAGE_SIZE), 16 * KiB);
}

LAB(stack, sp_text, "SP in the kernel's code", NO_PARAMS)
{
	victim_run(push_victim, (void *)((uintptr_t)lab_push_at + 16), 16 * KiB);
}

LAB(stack, sp_device, "SP in device memory", NO_PARAMS)
{
	victim_run(push_victim, phys_to_virt(RTC_BASE + 0x20), 16 * KiB);
}

LAB(stack, sp_other, "SP in another stack", NO_PARAMS)
{
	const struct stack *neighbour = victim_neighbour();

	victim_run(push_victim, (void *)(neighbour->base + neighbour->size / 2), 16 * KiB);
}

/* These two need the victim's own stack: it is known only in there. */
static void push_in_own(void *offset)
{
	push_victim((void *)(current()->stack.base + (uintptr_t)offset));
}

LAB(stack, sp_above, "SP just above the top of its own stack", NO_PARAMS)
{
	victim_run(push_in_own, (void *)(16 * KiB + 32), 16 * KiB);
}

/* QEMU 7.2 never raises the SP alignment exception (EC 0x26): the push itself goes through. */
LAB(stack, sp_misaligned, "SP not a multiple of 16", NO_PARAMS)
{
	victim_run(push_in_own, (void *)(8 * KiB + 8), 16 * KiB);
}
