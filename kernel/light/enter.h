/*
 * The light environment's assembly (enter.S): what every CPU enters with its 1 KiB, as a boot
 * loader would leave it, and how it gets out again.
 */
#ifndef LIGHT_ENTER_H
#define LIGHT_ENTER_H

/* struct light_entry, for enter.S. */
#define LIGHT_TOP 0
#define LIGHT_SIZE 8
#define LIGHT_RAW_IDS 16
#define LIGHT_VECTORS 24
#define LIGHT_MAIN 32

#define LIGHT_FAULT_STACK_SIZE 4096

#ifndef __ASSEMBLER__

#include "arch/types.h"

struct thread;

/* Set before the first CPU enters. */
struct light_entry {
	uintptr_t top;	  /* of CPU 0's stack; each other CPU's is `size` bytes lower */
	size_t size;	  /* bytes a CPU */
	uint64_t raw_ids; /* take MPIDR_EL1 itself for the index, as if ids had no holes */
	uintptr_t vectors;
	void (*main)(struct thread *t); /* does not return: there is nothing to return to */
};
extern struct light_entry light_entry;

_Static_assert(offsetof(struct light_entry, top) == LIGHT_TOP, "enter.S");
_Static_assert(offsetof(struct light_entry, size) == LIGHT_SIZE, "enter.S");
_Static_assert(offsetof(struct light_entry, raw_ids) == LIGHT_RAW_IDS, "enter.S");
_Static_assert(offsetof(struct light_entry, vectors) == LIGHT_VECTORS, "enter.S");
_Static_assert(offsetof(struct light_entry, main) == LIGHT_MAIN, "enter.S");

/* enter.S: 1 from the first fault on: that CPU has the stack that all faults share. */
extern uint32_t light_fault_taken;

LINKER_SYMBOL(light_vectors);
LINKER_SYMBOL(early_vectors);

/*
 * CPU 0 enters here, the others at light_start (psci.h). Then light_entry.main(t), on the CPU's
 * own piece.
 */
__attribute__((noreturn)) void light_enter(struct thread *t);

/*
 * Out: vectors, SP_EL1, current thread and SP are those of t from here on. Nothing of the stack in
 * use survives, and nobody returns.
 */
__attribute__((noreturn)) void light_leave(struct thread *t);

/* The same without the care: SP is `top` and the caller goes on. Only to show what that does. */
void light_swap_sp(uintptr_t top);

/* Call function(argument) with SP at `top`, memory borrowed from elsewhere, and come back. */
void light_borrow(void (*function)(void *), void *argument, uintptr_t top);

#endif
#endif
