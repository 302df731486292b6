/*
 * Stack labs: a shadow call stack. The function in shadowed.c keeps its return address a second time, on
 * a stack that x18 points at, and returns by that one.
 */
#include "base/protect.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/shadowed.h"
#include "labs/lib/victim.h"
#include "report/fault.h"
#include "report/report.h"

STACK_CALLS("shadow_victim",
	    "overwrite_return* kernel/labs/lib/shadowed.c:overwrite_shadowed_return",
	    "with and without a shadow")
STACK_TAKEN("gadget*", "return addresses are overwritten with it; it is never called")
STACK_JUMPS("overwrite_return", "gadget", "its return address is overwritten with it")

static uintptr_t shadow[16];

__attribute__((noreturn)) static void gadget(void)
{
	report("[stack-lab] returned into the gadget");
	end("survived");
}

/* The same without a shadow. */
__attribute__((noinline)) static uintptr_t overwrite_return(uintptr_t value)
{
	volatile uintptr_t *record = __builtin_frame_address(0);

	record[1] = value;
	return record[1];
}

static void shadow_victim(__attribute__((unused)) void *unused)
{
	uintptr_t (*overwrite)(uintptr_t) =
		protected(PROTECT_SHADOW) ? overwrite_shadowed_return : overwrite_return;

	__asm__ volatile("mov x18, %0" ::"r"(shadow));
	report("[stack-lab] overwriting the return address");
	if (overwrite((uintptr_t)gadget) != shadow[0])
		fault_trap(BRK_SHADOW);
	report("[stack-lab] came back");
}

LAB(stack, shadow, "a return address is overwritten, its shadow is not", NO_PARAMS)
{
	victim_run(shadow_victim, NULL, 16 * KiB);
}
