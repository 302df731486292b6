/*
 * PSCI calls, over HVC, or SMC where the machine started at EL2 (start.S notes which). Started at EL3 there is no
 * firmware, and one thing that can still be done: to end, by the secure world's own power switch.
 */
#include "arch/psci.h"

#include "arch/mmu.h"
#include "arch/mpidr.h"
#include "arch/sysreg.h"
#include "arch/virt.h"

#define PSCI_CPU_OFF 0x84000002UL
#define PSCI_CPU_ON 0xc4000003UL
#define PSCI_AFFINITY_INFO 0xc4000004UL
#define AFFINITY_OFF 1
#define PSCI_SYSTEM_OFF 0x84000008UL

enum conduit { CONDUIT_HVC, CONDUIT_SMC, CONDUIT_NONE };
uint32_t psci_conduit = CONDUIT_HVC; /* start.S writes it, last.S reads it */

static int64_t psci_call(uint64_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a1;
	register uint64_t x2 __asm__("x2") = a2;
	register uint64_t x3 __asm__("x3") = a3;

	if (psci_conduit == CONDUIT_SMC)
		__asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
	else
		__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
	return (int64_t)x0;
}

bool psci_cpu_is_off(uint64_t mpidr)
{
	return psci_call(PSCI_AFFINITY_INFO, mpidr & MPIDR_AFFINITY, 0, 0) == AFFINITY_OFF;
}

int psci_cpu_on(uint64_t mpidr, void (*entry)(void), const void *thread)
{
	return (int)psci_call(PSCI_CPU_ON, mpidr & MPIDR_AFFINITY, virt_to_phys(entry),
			      (uintptr_t)thread);
}

const char *psci_error_name(int error)
{
	static const char *const names[] = {
		"success",    "not-supported",	 "invalid-parameters", "denied",
		"already-on", "on-pending",	 "internal-failure",   "not-present",
		"disabled",   "invalid-address",
	};

	return error <= 0 && (size_t)-error < ARRAY_SIZE(names) ? names[-error] : "unknown";
}

void psci_cpu_off(void)
{
	psci_call(PSCI_CPU_OFF, 0, 0, 0);
	for (;;)
		wfi();
}

/* PL061 (Arm DDI 0190): line 0 of the secure one is the power switch. */
static void secure_off(void)
{
	volatile uint32_t *data = phys_to_virt(SECURE_GPIO_BASE + (1 << 2));
	volatile uint32_t *direction = phys_to_virt(SECURE_GPIO_BASE + 0x400);

	*direction = 1;
	*data = 1;
}

void psci_system_off(void)
{
	if (psci_conduit == CONDUIT_NONE)
		secure_off();
	else
		psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
	for (;;)
		wfi();
}
