/* GICv3 (Arm IHI 0069): just what one timer, one watchdog and one UART need. */
#include "arch/gic.h"

#include "arch/mmu.h"
#include "arch/mpidr.h"
#include "arch/sysreg.h"

enum {
	GICD_CTLR = 0x0000,
	GICR_WAKER = 0x0014,
	IGROUPR =
		0x0080, /* from here on the same in the distributor and in the redistributor's SGI frame */
	ISENABLER = 0x0100,
	ICENABLER = 0x0180,
	IPRIORITYR = 0x0400,
	GICR_SGI_FRAME = 0x10000,
	GICR_STRIDE = 0x20000,
	GICR_TYPER = 0x0008,
	GICR_TYPER_AFFINITY = 0x000c,
};

#define PFR0_GIC 24

#define CTLR_ENABLE_GROUP0 (1U << 0)
#define CTLR_ENABLE_GROUP1 (1U << 1)
#define CTLR_ARE (1U << 4)
#define WAKER_SLEEP (1U << 1)
#define WAKER_ASLEEP (1U << 2)
#define TYPER_LAST (1U << 4)
/*
 * The watchdog also interrupts the handler of an interrupt, which is active: its priority must be
 * higher.
 */
#define PRIORITY 0xa0
#define PRIORITY_FIQ 0x20

#define ICC_IGRPEN0_EL1 S3_0_C12_C12_6
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
#define ICC_PMR_EL1 S3_0_C4_C6_0
#define ICC_IAR1_EL1 S3_0_C12_C12_0
#define ICC_EOIR1_EL1 S3_0_C12_C12_1
#define ICC_SRE_EL1 S3_0_C12_C12_5
#define ICC_SGI1R_EL1 S3_0_C12_C11_5

static volatile uint32_t *gicd(unsigned int offset)
{
	return phys_to_virt(GICD_BASE + offset);
}

/* Each CPU's redistributor, by its index: the one whose TYPER carries its affinity. */
static uintptr_t redistributors[NR_CPUS];

static void find_redistributors(uintptr_t region, size_t size)
{
	for (uintptr_t base = region; base < region + size; base += GICR_STRIDE) {
		uint32_t affinity = *(volatile uint32_t *)(base + GICR_TYPER_AFFINITY);

		if (mpidr_has_index(affinity))
			redistributors[mpidr_index(affinity)] = base;
		if (*(volatile uint32_t *)(base + GICR_TYPER) & TYPER_LAST)
			break;
	}
}

static volatile uint32_t *gicr(unsigned int offset)
{
	return (volatile uint32_t *)(redistributors[mpidr_index(sysreg_read(mpidr_el1))] + offset);
}

/* Register file that holds the bits of intid, and the bit. */
static volatile uint32_t *bank(unsigned int intid, unsigned int file)
{
	return intid < 32 ? gicr(GICR_SGI_FRAME + file) : gicd(file + intid / 32 * 4);
}

bool gic_present(void)
{
	return sysreg_read(id_aa64pfr0_el1) >> PFR0_GIC & 0xf;
}

bool gic_init(uintptr_t second, size_t size)
{
	find_redistributors((uintptr_t)phys_to_virt(GICR_BASE), GICR_SIZE);
	if (size) {
		uintptr_t region = (uintptr_t)phys_to_virt(second);

		if (mmu_map(region, second, size, MAP_DEVICE))
			return false;
		find_redistributors(region, size);
	}
	*gicd(GICD_CTLR) = CTLR_ARE | CTLR_ENABLE_GROUP0 | CTLR_ENABLE_GROUP1;
	return true;
}

void gic_init_cpu(void)
{
	volatile uint32_t *waker = gicr(GICR_WAKER);

	*waker &= ~WAKER_SLEEP;
	while (*waker & WAKER_ASLEEP)
		;
	sysreg_write(ICC_SRE_EL1, 7);
	isb();
	sysreg_write(ICC_PMR_EL1, 0xff);
	sysreg_write(ICC_IGRPEN0_EL1, 1);
	sysreg_write(ICC_IGRPEN1_EL1, 1);
	isb();
}

void gic_enable(unsigned int intid, bool fiq)
{
	volatile uint32_t *group = bank(intid, IGROUPR);
	volatile uint8_t *priority =
		(volatile uint8_t *)(intid < 32 ? gicr(GICR_SGI_FRAME + IPRIORITYR)
						: gicd(IPRIORITYR)) +
		intid;

	*group = (*group & ~(1U << intid % 32)) | (uint32_t)!fiq << intid % 32;
	*priority = fiq ? PRIORITY_FIQ : PRIORITY;
	*bank(intid, ISENABLER) = 1U << intid % 32;
}

void gic_disable(unsigned int intid)
{
	*bank(intid, ICENABLER) = 1U << intid % 32;
}

void gic_send(unsigned int index, unsigned int intid)
{
	uint64_t mpidr = mpidr_of(index);

	/* IHI 0069 12.2.21: a list of Aff0 below one Aff1. What it is to see was stored before. */
	dsb();
	sysreg_write(ICC_SGI1R_EL1,
		     (mpidr >> 8 & 0xff) << 16 | (uint64_t)intid << 24 | 1UL << (mpidr & 0xf));
	isb();
}

unsigned int gic_acknowledge(void)
{
	return (unsigned int)sysreg_read(ICC_IAR1_EL1) & 0xffffff;
}

void gic_end(unsigned int intid)
{
	sysreg_write(ICC_EOIR1_EL1, intid);
}
