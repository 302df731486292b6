/*
 * EL0: which process's table TTBR0 holds, and the way in. The kernel runs with an empty table there (on
 * every CPU the same as PAN, which ARMv8.0 has not), so that a user address in the kernel's hands is
 * nothing but a fault; where the CPU has PAN (FEAT_PAN, Arm ARM D5.4.6) it is on as well.
 */
#ifndef ARCH_USER_H
#define ARCH_USER_H

#include "arch/frame.h"
#include "arch/types.h"

#define SPSR_EL0T 0x0
#define SPSR_EL1T 0x4
#define SPSR_EL_MASK 0xc
#define SPSR_PAN (1UL << 22)

/* Where TTBR0_EL1 keeps the ASID (TCR_EL1.AS = 0: 8 bits). */
#define TTBR_ASID_SHIFT 48

static inline bool frame_is_user(const struct frame *f)
{
	return (f->spsr & SPSR_EL_MASK) == 0;
}

/* Walks by TTBR0 begin, on this CPU, with the empty table; `pan` switches the CPU's own PAN on too. */
void user_tables_init(bool pan);

/* Are there processes at all? Until then no exception cares for TTBR0. */
extern bool user_tables_on;

/* TTBR0_EL1: a process's table with its ASID, or 0 for the empty one. */
void user_table_set(uint64_t ttbr0);

/* Nobody may use what the TLB still has of an address space (TLBI ASIDE1IS). */
void user_table_forget(unsigned int asid);

/* Does a SPSR that goes to EL1 need PAN set? The bit, or 0 where the CPU has none. */
uint64_t user_spsr_pan(void);

/* user.S: where a system call runs, on the thread's kernel stack: system_call(user frame). */
void syscall_start(void);

/* user.S: leave for EL0 with this frame; does not come back. */
__attribute__((noreturn)) void user_enter(struct frame *user);

#endif
