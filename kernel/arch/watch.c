/* See watch.h. DBGWCR<n>_EL1: Arm ARM D13.3.12. */
#include "arch/watch.h"

#include "arch/sysreg.h"

#define WCR_ENABLE (1UL << 0)
#define WCR_EL1 (1UL << 1)
#define WCR_KIND(kind) ((uint64_t)(kind) << 3)
#define WCR_ALL_BYTES (0xffUL << 5)
#define WCR_MASK(bits) ((uint64_t)(bits) << 24)

#define MDSCR_KDE (1UL << 13) /* debug exceptions from EL1 to EL1 … */
#define MDSCR_MDE (1UL << 15) /* … from watchpoints and breakpoints */

void (*watch_hook)(void);

void watch_arm(uintptr_t base, size_t bytes, enum watch_kind kind)
{
	sysreg_write(oslar_el1, 0); /* locked at reset */
	sysreg_write(dbgwvr0_el1, base);
	sysreg_write(dbgwcr0_el1, WCR_ENABLE | WCR_EL1 | WCR_KIND(kind) | WCR_ALL_BYTES |
					  WCR_MASK(__builtin_ctzl(bytes)));
	sysreg_write(mdscr_el1, MDSCR_KDE | MDSCR_MDE);
	isb();
	__asm__ volatile("msr daifclr, #8" ::: "memory");
}

void watch_disarm(void)
{
	sysreg_write(dbgwcr0_el1, 0);
	sysreg_write(mdscr_el1, 0);
	isb();
}
