/* See mte.h. The registers and bits: Arm ARM D13.2; the instructions: C6.2. build.mk says that it may use them. */
#include "arch/mte.h"

#include "arch/sysreg.h"

#define RGSR_EL1 S3_0_C1_C0_5
#define GCR_EL1 S3_0_C1_C0_6

#define PFR1_MTE(value) ((value) >> 8 & 0xf)
#define PFR1_MTE2 2

#define SCTLR_ATA (1UL << 43)	   /* EL1 may use tags */
#define SCTLR_TCF_SYNC (1UL << 40) /* a wrong tag faults, at the access */
#define TCR_TBI1 (1UL << 38)	   /* the top byte is no part of a kernel address */

#define RGSR_SEED_SHIFT 8
#define TAG_SHIFT 56

bool mte_present(void)
{
	return PFR1_MTE(sysreg_read(id_aa64pfr1_el1)) >= PFR1_MTE2;
}

void mte_enable(uint16_t seed, bool check)
{
	/* GCR_EL1.RRND = 0: IRG steps through the sequence that the seed begins, which must not be 0. */
	sysreg_write(GCR_EL1, 0);
	sysreg_write(RGSR_EL1, (uint64_t)(seed | 1) << RGSR_SEED_SHIFT);
	sysreg_write(tcr_el1, sysreg_read(tcr_el1) | TCR_TBI1);
	sysreg_write(sctlr_el1, sysreg_read(sctlr_el1) | SCTLR_ATA | (check ? SCTLR_TCF_SYNC : 0));
	/* TCR may be cached with a translation. */
	__asm__ volatile("isb\n\ttlbi vmalle1\n\tdsb sy\n\tisb" ::: "memory");
}

void *mte_pointer(uintptr_t address)
{
	void *pointer = (void *)address;

	__asm__ volatile("ldg %0, [%0]" : "+r"(pointer)::"memory");
	return pointer;
}

size_t mte_unit(uintptr_t page)
{
	/* Not the next granule: the defect spares its lowest bit. */
	mte_set_tags(page, MTE_GRANULE, 1);
	mte_set_tags(page + 2 * MTE_GRANULE, MTE_GRANULE, 2);
	return mte_tag_at(page) == 1 ? MTE_GRANULE : PAGE_SIZE;
}

unsigned int mte_tag_of(const void *pointer)
{
	return (uintptr_t)pointer >> TAG_SHIFT & 0xf;
}

unsigned int mte_tag_at(uintptr_t address)
{
	return mte_tag_of(mte_pointer(address));
}

unsigned int mte_random_tag(uint16_t excluded)
{
	uint64_t mask = excluded, tagged;

	__asm__ volatile("irg %0, %1, %2" : "=r"(tagged) : "r"(0UL), "r"(mask));
	return mte_tag_of((void *)tagged);
}

void mte_set_tags(uintptr_t address, size_t bytes, unsigned int tag)
{
	uintptr_t tagged = (address & ~(0xfUL << TAG_SHIFT)) | (uintptr_t)tag << TAG_SHIFT;

	for (size_t done = 0; done < bytes; done += MTE_GRANULE)
		__asm__ volatile("stg %0, [%0]" ::"r"(tagged + done) : "memory");
}
