/*
 * How far the boot of CPU 0 had come, by the cycle counter (arch/cycles.h), which runs from the first
 * instruction on: under icount shift=0 each mark is the instructions that were retired before it. start.S and
 * main.c set them; labs/cost/cost_boot.c prints them. A mark costs a few instructions and no stack.
 */
#ifndef ARCH_MARKS_H
#define ARCH_MARKS_H

#define MARK_BSS 0 /* zeroed; what comes before has no mark, as there is no memory for one */
#define MARK_PAINT 1
#define MARK_TABLES 2
#define MARK_HIGH 3
#define MARK_CPU 4
#define MARK_TREE 5
#define MARK_LINE 6
#define MARK_STACKS 7
#define MARK_DEVICES 8
#define MARK_RAM 9
#define MARK_WINDOW 10
#define MARK_SCHED 11
#define MARK_THREAD 12
#define NR_MARKS 13

#ifndef __ASSEMBLER__

#include "arch/sysreg.h"
#include "arch/types.h"

extern uint64_t boot_marks[NR_MARKS];

static inline void boot_mark(unsigned int mark)
{
	boot_marks[mark] = sysreg_read(pmccntr_el0);
}

#endif
#endif
