/* The firmware's power switch (Arm DEN0022). */
#ifndef ARCH_PSCI_H
#define ARCH_PSCI_H

#include "arch/types.h"

/*
 * Where a CPU may begin (start.S), its thread in x0: in that thread, or in the light environment
 * first.
 */
void secondary_start(void);
void light_start(void);

/*
 * Start the CPU of this affinity at `entry` with `thread` in x0; 0, or the PSCI error (negative).
 */
int psci_cpu_on(uint64_t mpidr, void (*entry)(void), const void *thread);

/* The error's name as Arm DEN0022 5.2.2 has it, in small letters. */
const char *psci_error_name(int error);

/* Is the CPU of this affinity off, or was it never on? (AFFINITY_INFO, level 0.) */
bool psci_cpu_is_off(uint64_t mpidr);

/* Switch this CPU off. Does not return. */
__attribute__((noreturn)) void psci_cpu_off(void);

/* Power the machine off. Does not return: QEMU exits with status 0. */
__attribute__((noreturn)) void psci_system_off(void);

#endif
