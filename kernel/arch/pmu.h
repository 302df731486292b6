/*
 * The cycle counter (Arm ARM D8.1, PMCCNTR_EL0). QEMU has no cycles: under -icount shift=0 it counts
 * instructions, one each, where the timer's counter ticks once every 16.
 */
#ifndef ARCH_PMU_H
#define ARCH_PMU_H

#include "arch/sysreg.h"

#define PMCR_ENABLE (1UL << 0)
#define PMCR_LONG (1UL << 6)
#define PMCNTEN_CYCLES (1UL << 31)

/* Count at EL1, from wherever it stands, 64 bits wide. */
static inline void pmu_start(void)
{
	sysreg_write(pmccfiltr_el0, 0);
	sysreg_write(pmcntenset_el0, PMCNTEN_CYCLES);
	sysreg_write(pmcr_el0, PMCR_ENABLE | PMCR_LONG);
	isb();
}

static inline uint64_t pmu_cycles(void)
{
	return sysreg_read(pmccntr_el0);
}

#endif
