/*
 * GICv3 (Arm IHI 0069), one security state. Interrupts are Group 1, so they come as IRQ; the
 * watchdog's is Group 0, so it comes as FIQ and irq_save() does not mask it.
 */
#ifndef ARCH_GIC_H
#define ARCH_GIC_H

#include "arch/types.h"

/*
 * The distributor, once, then this CPU's redistributor and CPU interface. Up to 123 redistributors
 * lie in the board's first region; `second` is where the others are and how many bytes they take,
 * 0: nowhere. False: no translation tables for that.
 */
/* Is there one that this file can use? A GICv2, QEMU's default, has no system registers. */
bool gic_present(void);
bool gic_init(uintptr_t second, size_t size);
void gic_init_cpu(void);

/* Let INTID through (0–31 are this CPU's own), as IRQ or, with fiq, as FIQ. */
void gic_enable(unsigned int intid, bool fiq);
void gic_disable(unsigned int intid);

/* Interrupt this CPU, or CPU `index`, with SGI `intid` (0–15). Both have to enable it. */
void gic_send(unsigned int index, unsigned int intid);

/* Acknowledge: the INTID of the pending IRQ, 1020 and up when there is none. Then end it. */
unsigned int gic_acknowledge(void);
void gic_end(unsigned int intid);

#endif
