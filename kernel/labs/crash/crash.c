/*
 * Crash labs: one for each thing a fault can be called that is not about a stack (report/classify.c), and
 * one that does not fault at all. scenarios/test_crash.py is the other half.
 */
#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "lab/lab.h"
#include "labs/lib/illegal.h"
#include "labs/lib/victim.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

#define VICTIM_STACK (16 * KiB)

LINKER_SYMBOL(__text_start);

/* With interrupts masked no tick comes any more: only the watchdog, which is an FIQ, is left. */
#define HANG_PARAMS(P) P(masked, 1, 0, 1, "1: with interrupts masked")

__attribute__((noinline)) static void spin(void)
{
	for (;;)
		;
}

LAB(crash, hang, "spin for ever", HANG_PARAMS)
{
	if (a->masked)
		irq_save();
	spin();
}

static void null_victim(__attribute__((unused)) void *unused)
{
	write_null();
}

LAB(crash, null, "write through a null pointer", NO_PARAMS)
{
	victim_run(null_victim, NULL, VICTIM_STACK);
}

/* One store to wherever the lab says; a legal one first. */
static void store_victim(void *address)
{
	static uint64_t legal;

	*(volatile uint64_t *)&legal = 1;
	FAULT_SITE(illegal_store, "str xzr, [%0]", "r"(address));
	report("[crash-lab] wrote it");
}

static const uint64_t read_only = 1;

LAB(crash, write_rodata, "write to a constant", NO_PARAMS)
{
	victim_run(store_victim, (void *)(uintptr_t)&read_only, VICTIM_STACK);
}

LAB(crash, write_text, "write to the kernel's code", NO_PARAMS)
{
	victim_run(store_victim, __text_start, VICTIM_STACK);
}

LAB(crash, unmapped, "write to an address where nothing is", NO_PARAMS)
{
	victim_run(store_victim, (void *)(STACK_WINDOW + STACK_WINDOW_PAGES * PAGE_SIZE),
		   VICTIM_STACK);
}

/* TTBR0 is off, so no low address is anything. */
LAB(crash, low_half, "write to a user's address", NO_PARAMS)
{
	victim_run(store_victim, (void *)0x400000, VICTIM_STACK);
}

/* ret, as an instruction: where it may be executed, the call comes back. */
#define INSTRUCTION_RET 0xd65f03c0

static const uint32_t code_in_rodata[] = { INSTRUCTION_RET };
static uint32_t code_in_data[] = { INSTRUCTION_RET };

static void call_victim(void *address)
{
	((void (*)(void))address)();
	report("[crash-lab] executed it");
}

LAB(crash, exec_rodata, "execute a constant", NO_PARAMS)
{
	victim_run(call_victim, (void *)(uintptr_t)code_in_rodata, VICTIM_STACK);
}

LAB(crash, exec_data, "execute data", NO_PARAMS)
{
	victim_run(call_victim, code_in_data, VICTIM_STACK);
}

static void call_stack_victim(__attribute__((unused)) void *unused)
{
	uint32_t code[] = { INSTRUCTION_RET };

	/* It may be changed: or the compiler would take the constant itself for it. */
	__asm__ volatile("" ::"r"(code) : "memory");
	call_victim((void *)(uintptr_t)code);
}

LAB(crash, exec_stack, "execute what lies on the stack", NO_PARAMS)
{
	victim_run(call_stack_victim, NULL, VICTIM_STACK);
}

LAB(crash, exec_null, "call a null pointer", NO_PARAMS)
{
	victim_run(call_victim, NULL, VICTIM_STACK);
}

LAB(crash, wild_pc, "call an address where nothing is", NO_PARAMS)
{
	victim_run(call_victim, (void *)(STACK_WINDOW + STACK_WINDOW_PAGES * PAGE_SIZE),
		   VICTIM_STACK);
}

static void undefined_victim(__attribute__((unused)) void *unused)
{
	/* A system register that no CPU has: it decodes, so that tools can read on behind it. */
	FAULT_SITE(undefined, "mrs xzr, s3_7_c15_c15_7", "r"(0));
}

LAB(crash, undefined, "an instruction that is none", NO_PARAMS)
{
	victim_run(undefined_victim, NULL, VICTIM_STACK);
}

LAB(crash, bug, "the kernel's own assertion", NO_PARAMS)
{
	fault_trap(BRK_BUG);
}
