/* The machine as its device tree describes it, and the first records, which say what it is. */
#ifndef MACHINE_H
#define MACHINE_H

#include "arch/types.h"

/* What the device tree says: the boot line, RAM, CPUs. */
struct machine {
	const char *line;
	size_t line_length;
	uint64_t ram; /* bytes */
	unsigned int cpus;
	uint64_t redistributors, redistributors_size; /* the GIC's second region of them, 0: none */
	uintptr_t reserved; /* physical: from here on RAM holds QEMU's files */
	const char *wrong;  /* NULL, or why the machine cannot be used */
};

/* pa: where the tree lies. Maps it, asks it everything at once. The same machine each time. */
const struct machine *machine_read(uintptr_t pa);

/* [boot] highwater … and [boot] args: even of a machine that cannot be used. */
void machine_report(const struct machine *m, unsigned int el);
void machine_report_line(const struct machine *m);

/* QEMU's -initrd, if it was given one, becomes where programs come from. */
void machine_use_initrd(void);

#endif
