/*
 * The other CPUs: each is started with one thread of its own, stacks and all, and switched off when
 * that thread has ended. They have no tick and no run queue; only CPU 0 allocates.
 */
#ifndef PROC_SMP_H
#define PROC_SMP_H

#include "arch/virt.h"
#include "base/current.h"
#include "base/stack_note.h"

/*
 * Start CPU `index` with a thread named "cpuN" that runs function(argument) on 16 KiB. NULL: there is no
 * such CPU, it was started and not waited for, no memory for its stacks, or the firmware refused; nothing
 * is kept then.
 */
struct thread *smp_start(unsigned int index, void (*function)(void *), void *argument);

#define smp_start(index, function, argument)                                                       \
	({                                                                                         \
		STACK_START("cpu*", function, 0)                                                   \
		(smp_start)(index, function, argument);                                            \
	})

/* The same with a thread that was made, and is in no queue. False: it is still its maker's. */
bool smp_run(unsigned int index, struct thread *t);

/*
 * Wait until that thread has ended and its CPU is off; all that both had is given back. detector, unless
 * NULL: who had it killed.
 */
enum thread_state smp_join(struct thread *t, const char **detector);

/* Is CPU 0 the only one that was started, or all others waited for? */
bool smp_alone(void);

/* How many CPUs the device tree names, and the affinity of each (mpidr.h); main.c sets both. */
extern unsigned int smp_cpus;
extern uint64_t smp_ids[NR_CPUS];

/* Its stacks are there: tell the vectors, and that t runs on it. */
void smp_bind(struct cpu *cpu, struct thread *t);

/* What CPU `index` has for itself, made at the first call; NULL: the early heap is empty. */
struct cpu *smp_cpu(unsigned int index);

#endif
