/* The firmware's power switch (Arm DEN0022). */
#ifndef ARCH_PSCI_H
#define ARCH_PSCI_H

#include "arch/types.h"

/* Start a CPU at secondary_start (start.S) with `thread` in x0; 0, or the PSCI error (negative). */
int psci_cpu_on(unsigned int cpu, const void *thread);

/* Has a CPU been switched off, or never been on? (AFFINITY_INFO, level 0.) */
bool psci_cpu_is_off(unsigned int cpu);

/* Switch this CPU off. Does not return. */
__attribute__((noreturn)) void psci_cpu_off(void);

/* Power the machine off. Does not return: QEMU exits with status 0. */
__attribute__((noreturn)) void psci_system_off(void);

#endif
