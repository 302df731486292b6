/*
 * From the boot loader's stacks to the kernel's own. A loader gives every CPU 1 KiB, side by side
 * in one block: too little for a kernel, and nothing can lie between two of them. So each CPU maps
 * stacks of its own into a new region, and moves.
 *
 *   BOOT_STACKS_TOP    CPU 0's 1 KiB, CPU 1's below it, …; reserved for NR_CPUS, a guard at each end
 *   PERMANENT_STACKS   CPU 0's slot, CPU 1's above it, …; that of a CPU that is not there is empty:
 *                      guard | permanent:cpuN | guard | irq:cpuN | guard | emergency:cpuN | guard …
 *
 * The calls in their order: as loader, on as much stack as one likes, permanent_layout(),
 * permanent_map_block(), and permanent_cpu() for each CPU; then, on each CPU's own 1 KiB,
 * permanent_map() and light_leave(). Only boot.* labs come this way.
 */
#ifndef PROC_PERMANENT_H
#define PROC_PERMANENT_H

#include "base/cpu.h"

/* How large: a boot stack (a power of two up to 1 KiB) and a permanent one (whole pages). */
struct permanent_layout {
	size_t boot_stack;
	size_t stack;
};
void permanent_layout(struct permanent_layout sizes);

/* Bytes from one CPU's slot to the next one's. */
size_t permanent_slot(void);

/* Map the block of boot stacks. False: no memory, or no translation tables. */
bool permanent_map_block(void);

/* Unmap it: whoever still has an address in it finds out. */
void permanent_unmap_block(void);

/*
 * Make what CPU `index` has: its boot stack, painted and registered, and a thread for
 * function(argument) on the stack that it will have mapped. NULL: the early heap is empty.
 */
struct cpu *permanent_cpu(unsigned int index, void (*function)(void *), void *argument);

/*
 * A boot stack that no CPU has, to see whether somebody writes to it: the one below CPU `index`'s.
 */
void permanent_paint_below(unsigned int index, struct stack *s);

/* Map, paint and register this CPU's three stacks. False: no memory, or no translation tables. */
bool permanent_map(struct cpu *cpu);

#endif
