/* See user.h. */
#include "arch/user.h"

#include "arch/descriptor.h"
#include "arch/mmu.h"
#include "arch/sysreg.h"

#define TCR_EPD0 (1UL << 7)
#define SCTLR_SPAN (1UL << 23) /* 1: PSTATE.PAN stays as it is at an exception */
#define MMFR1_PAN_SHIFT 20

static uint64_t empty[ENTRIES] __attribute__((aligned(4096)));
static bool pan_on;

void user_tables_init(bool pan)
{
	bool has_pan = sysreg_read(id_aa64mmfr1_el1) >> MMFR1_PAN_SHIFT & 0xf;

	pan_on = pan && has_pan;
	if (pan_on)
		sysreg_write(sctlr_el1, sysreg_read(sctlr_el1) & ~SCTLR_SPAN);
	user_table_set(0);
	sysreg_write(tcr_el1, sysreg_read(tcr_el1) & ~TCR_EPD0);
	isb();
}

void user_table_set(uint64_t ttbr0)
{
	sysreg_write(ttbr0_el1, ttbr0 ? ttbr0 : virt_to_phys(empty));
	isb();
}

void user_table_forget(unsigned int asid)
{
	dsb();
	__asm__ volatile("tlbi aside1is, %0" ::"r"((uint64_t)asid << TTBR_ASID_SHIFT));
	dsb();
	isb();
}

uint64_t user_spsr_pan(void)
{
	return pan_on ? SPSR_PAN : 0;
}
