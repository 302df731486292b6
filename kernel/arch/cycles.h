/*
 * The cycle counter of the PMU (Arm ARM D7, PMCCNTR_EL0). Under QEMU's icount with shift 0 it counts
 * instructions, exactly; on hardware, cycles.
 */
#ifndef ARCH_CYCLES_H
#define ARCH_CYCLES_H

#include "arch/sysreg.h"

#define PMCR_ENABLE (1UL << 0)
#define PMCR_LONG_CYCLES (1UL << 6)
#define PMCNTEN_CYCLES (1UL << 31)

static inline void cycles_start(void)
{
	sysreg_write(pmcr_el0, PMCR_ENABLE | PMCR_LONG_CYCLES);
	sysreg_write(pmcntenset_el0, PMCNTEN_CYCLES);
	isb();
}

static inline uint64_t cycles(void)
{
	isb();
	return sysreg_read(pmccntr_el0);
}

#endif
