/* What C cannot say: labs/lib/routines.S. */
#ifndef LABS_LIB_ROUTINES_H
#define LABS_LIB_ROUTINES_H

/* lab_registers and lab_overflow_known: what x<n> holds is n times this. */
#define LAB_KNOWN 0x0101

#ifndef __ASSEMBLER__

#include "arch/types.h"

/* Point SP at sp, push 16 bytes (site: wild_push), give way once (svc), take the old SP back. */
void lab_push_at(uintptr_t sp);

/* Point SP at sp, svc, take the old SP back. */
void lab_svc_at(uintptr_t sp);

/* Point SP at sp, wait until *ticks changes, take the old SP back. */
void lab_spin_at(uintptr_t sp, const uint64_t *ticks);

/* Write a pattern into `bytes` below SP, svc, and say whether it is still there. */
bool lab_scratch_below_sp(size_t bytes);

/* Store downwards from SP, SP unmoved, to `floor`. Site: below_sp. */
void lab_fill_below_sp(uintptr_t floor);

/*
 * Put a known value in every register but x0, let `instructions` go by and one svc with interrupts open,
 * wait for lab_hit, which the interrupt is to set, and return how many registers differ.
 */
unsigned long lab_registers(unsigned long instructions);
extern char lab_registers_svc[], lab_registers_end[]; /* its svc, and the end of its window */
extern uint32_t lab_hit;

/*
 * Put a known value in every register, point SP at sp, let `instructions` go by with interrupts open, and
 * push 16 bytes for ever: whoever looks at the thread's frame finds x1 to x30 as they were.
 */
__attribute__((noreturn)) void lab_overflow_known(unsigned long instructions, uintptr_t sp);
extern char lab_overflow_push[], lab_overflow_end[]; /* its two instructions */

/* Wait, interrupts open, until one has set lab_hit. */
void lab_await_hit(void);

/* Give way once: nothing but svc and ret. */
void lab_yield(void);

/* A thread that gives way for ever, and has nothing in its registers. */
void lab_partner(void *unused);
extern char lab_partner_end[];

/*
 * grow_deep_patched(left, up), called with nothing in x9, as any caller may: whoever takes that for a return address
 * does not come back. *through: where grow_check_… went back to, 0 without it.
 */
struct deep_link;
uint64_t lab_call_bare(uint64_t left, struct deep_link *up, uintptr_t *through);

#endif
#endif
