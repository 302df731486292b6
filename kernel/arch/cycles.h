/*
 * The cycle counter, PMCCNTR_EL0 (Arm ARM D13, the Performance Monitors). Under QEMU's icount shift=0 a
 * cycle is one retired instruction, exactly; CNTVCT_EL0 moves only once in sixteen. Without icount it is
 * the host's clock, and no count of anything: labs/cost/cost.h can tell.
 */
#ifndef ARCH_CYCLES_H
#define ARCH_CYCLES_H

#define PMCR_ENABLE 0x01
#define PMCR_RESET_CYCLES 0x04
#define PMCR_LONG 0x40 /* 64 bits */
#define PMCNTEN_CYCLES 0x80000000

#ifndef __ASSEMBLER__

#include "arch/sysreg.h"

/* Count from 0, at EL1 and EL0, until the machine ends. */
static inline void cycles_start(void)
{
	sysreg_write(pmccfiltr_el0, 0);
	sysreg_write(pmcntenset_el0, PMCNTEN_CYCLES);
	sysreg_write(pmcr_el0, PMCR_ENABLE | PMCR_RESET_CYCLES | PMCR_LONG);
	isb();
}

/* Nothing before it comes later, nothing behind it sooner. */
static inline uint64_t cycles(void)
{
	uint64_t now;

	isb();
	now = sysreg_read(pmccntr_el0);
	isb();
	return now;
}

#endif
#endif
