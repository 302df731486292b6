/*
 * The cycle counter (Arm ARM D7): under QEMU's icount it counts retired instructions, of all CPUs.
 */
#ifndef ARCH_PMU_H
#define ARCH_PMU_H

#include "arch/sysreg.h"

#define PMCR_ENABLE 1
#define PMCNTENSET_CYCLES (1UL << 31)

/* From the first call on. */
static inline uint64_t pmu_cycles(void)
{
	sysreg_write(pmcr_el0, sysreg_read(pmcr_el0) | PMCR_ENABLE);
	sysreg_write(pmcntenset_el0, PMCNTENSET_CYCLES);
	isb();
	return sysreg_read(pmccntr_el0);
}

#endif
