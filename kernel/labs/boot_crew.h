/*
 * Every CPU of the machine, for the boot labs: prepared by the loader, started, waited for, and
 * called by name. What each does on its boot stack is the lab's business.
 */
#ifndef LABS_BOOT_CREW_H
#define LABS_BOOT_CREW_H

#include "core/cpu.h"

enum overflow { OVERFLOW_NONE, OVERFLOW_BOOT, OVERFLOW_PERMANENT, OVERFLOW_IRQ };

/* What is asked of them; all 0 but for the sizes is a boot without an accident. */
struct crew {
	size_t boot_stack, stack; /* bytes */
	unsigned int last;	  /* index of the CPU that the tree names last */
	uint64_t overflow;	  /* enum overflow: what that one does … */
	uint64_t past;		  /* … and how far below the stack it would turn back, bytes */
	uint64_t silent;	  /* index of a CPU that starts and says nothing, 0: none */
	uint64_t absent;	  /* 1: ask the firmware for a CPU that is not there */
	uint64_t heed;		  /* 0: do not look at what the firmware answers */
	uint64_t deadline;	  /* guest ms that CPU 0 waits for the others, 0: for ever */
	bool quiet;		  /* no memory map */
	bool astray; /* a CPU began on what is not its boot stack, and nothing stopped it */
	void (*begin)(struct thread *t); /* each CPU, on its boot stack */
	void (*finish)(void);		 /* CPU 0, when all have moved; NULL: nothing */
};
extern struct crew crew;

/* Load, start, move, call the roll, end. */
__attribute__((noreturn)) void crew_boot(void);

/* This CPU has nothing more to do, and must not be in anybody's way. */
__attribute__((noreturn)) void crew_park(void);

#endif
