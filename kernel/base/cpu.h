/* What each CPU has for itself. */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include "arch/mpidr.h"
#include "arch/timer.h"
#include "arch/types.h"
#include "arch/virt.h"
#include "base/current.h"
#include "base/text.h"
#include "base/stack.h"

#define LINE_MAX_BYTES 256 /* a record, newline included (report.h) */
#define NR_LEVELS 3	   /* thread, exception, emergency: each can interrupt the one before */

struct cpu {
	unsigned int index;
	uintptr_t irq_stack_top;
	struct stack irq_stack;
	struct stack emergency_stack;
	struct stack boot_stack; /* boot.* labs: the 1 KiB it begins on */
	struct thread *first;	 /* boot.* labs: what it leaves that for */
	struct thread *idle;
	uint64_t ticks;
	bool reporting_fault;	  /* a fault now is a fault in the fault report */
	struct timer_pause pause; /* while it reports one */
	/* The record in the making (report.c): its text, its bytes, and the interrupts it masked. */
	struct text text[NR_LEVELS];
	char line[NR_LEVELS][LINE_MAX_BYTES];
	uint64_t masked[NR_LEVELS];
};

/* By index. NULL: it has never been started. Only CPU 0's is there from the beginning. */
extern struct cpu boot_cpu; /* CPU 0 */
extern struct cpu *cpus[NR_CPUS];

static inline struct cpu *cpu_local(void)
{
	return current()->cpu;
}

/* From MPIDR_EL1, without trusting memory. */
static inline unsigned int cpu_index(void)
{
	return mpidr_index(sysreg_read(mpidr_el1));
}

#endif
