/*
 * GICv3 (Arm IHI 0069), one security state. Interrupts are Group 1, so they come as IRQ; the watchdog's
 * is Group 0, so it comes as FIQ and irq_save() does not mask it.
 */
#ifndef ARCH_GIC_H
#define ARCH_GIC_H

#include "arch/types.h"

/* The distributor, once, then this CPU's redistributor and CPU interface. */
void gic_init(void);
void gic_init_cpu(void);

/* Let INTID through (0–31 are this CPU's own), as IRQ or, with fiq, as FIQ. */
void gic_enable(unsigned int intid, bool fiq);
void gic_disable(unsigned int intid);

/* Acknowledge: the INTID of the pending IRQ, 1020 and up when there is none. Then end it. */
unsigned int gic_acknowledge(void);
void gic_end(unsigned int intid);

#endif
