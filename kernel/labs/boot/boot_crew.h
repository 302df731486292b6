/*
 * Every CPU of the machine, for the boot labs: prepared by the loader, started, waited for, and
 * called by name. What each does on its boot stack is the lab's business.
 */
#ifndef LABS_BOOT_BOOT_CREW_H
#define LABS_BOOT_BOOT_CREW_H

#include "base/cpu.h"

enum overflow {
	OVERFLOW_NONE,
	OVERFLOW_BOOT,
	OVERFLOW_PERMANENT,
	OVERFLOW_IRQ,
	OVERFLOW_EMERGENCY
};

/* What is asked of them; all 0 but for the sizes is a boot without an accident. */
struct crew {
	size_t boot_stack, stack; /* bytes */
	unsigned int last;	  /* the highest index of a CPU */
	unsigned int misfits;	  /* named by the tree, and never to be started */
	uint64_t overflow;	  /* enum overflow: what that one does … */
	uint64_t past;		  /* … and how far below the stack it would turn back, bytes */
	uint64_t silent;	  /* index of a CPU that starts and says nothing, 0: none */
	uint64_t taken;		  /* index of a CPU that the loader starts and parks, 0: none */
	uint64_t absent;	  /* 1: ask the firmware for a CPU that is not there */
	uint64_t heed;		  /* 0: do not look at what the firmware answers */
	uint64_t deadline;	  /* guest ms that CPU 0 waits for the others, 0: for ever */
	bool quiet;		  /* no memory map */
	bool astray; /* a CPU began on what is not its boot stack, and nothing stopped it */
	void (*begin)(struct thread *t); /* each CPU, on its boot stack */
	void (*finish)(void);		 /* CPU 0, when all have moved; NULL: nothing */
};
extern struct crew crew;

/* Every CPU that can be started, CPU 0 first, then in the order of the device tree. */
struct member {
	struct cpu *cpu; /* NULL: it is not there, and is asked for all the same */
	uint64_t id;
	uint8_t asked, here;
	const char *refused; /* by the firmware, with these words */
};
extern struct member members[NR_CPUS];
extern unsigned int member_count;

/* No CPU's boot stack, below the last one's: only an overflow writes to it. */
extern struct stack below_last;

/* Load, start, move, call the roll, end. */
__attribute__((noreturn)) void crew_boot(void);

/* First thing on a boot stack: the neighbour's becomes this CPU's guard. */
void crew_guard_boot_stack(const struct cpu *cpu);

/* Recurse until crew.past bytes below it. */
void crew_overflow_boot_stack(const struct cpu *cpu);

#define CREW_PAST_PARAM(P)                                                                         \
	P(past, 256, 128, 512, "bytes below a stack where its overflow would turn back")

/* CPU 0, when all are here or given up: say so, and end (boot_roll.c). */
__attribute__((noreturn)) void crew_roll(uint64_t cycles);

/* This CPU has nothing more to do, and must not be in anybody's way. */
__attribute__((noreturn)) void crew_park(void);

#endif
