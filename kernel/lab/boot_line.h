/* What the boot line has said, for lab.c, which acts by it. Who reads it from main.c: lab_boot_line(). */
#ifndef LAB_BOOT_LINE_H
#define LAB_BOOT_LINE_H

#include "lab/lab.h"

enum hold { HOLD_NONE, HOLD_SERIAL, HOLD_GDB };
extern const char *const hold_names[];

extern struct boot_line {
	const struct lab *lab; /* NULL: the catalogue is asked for */
	bool list;
	enum hold hold;
	uint64_t watchdog_ms; /* guest time; 0: not said */
} boot_line;

/* How long a lab may take: what the boot line says, or what fits the clock (timer_is_exact()). */
uint64_t boot_line_watchdog_ms(void);

/* The words behind `go` on the serial line: more of the lab's parameters. */
void boot_line_go(const char *line);

#endif
