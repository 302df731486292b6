/* The UART, byte by byte. Locks, lines and records are report/console.c's and report/report.c's. */
#ifndef ARCH_PL011_H
#define ARCH_PL011_H

#include "arch/types.h"

void pl011_init(void);
void pl011_putc(char c);

/* The next byte received, or -1 when there is none. */
int pl011_getc(void);

/* Raise INTID_UART while a byte waits, so that WFI ends at a key. */
void pl011_interrupt_on_receive(bool on);

#endif
