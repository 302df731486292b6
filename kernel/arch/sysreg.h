/* System registers and barriers, by name. */
#ifndef ARCH_SYSREG_H
#define ARCH_SYSREG_H

#include "arch/types.h"

/* The name of a register, or a macro that stands for one the assembler does not know. */
#define SYSREG_NAME(reg) SYSREG_NAME_(reg)
#define SYSREG_NAME_(reg) #reg

#define sysreg_read(reg)                                                                           \
	({                                                                                         \
		uint64_t value_;                                                                   \
		__asm__ volatile("mrs %0, " SYSREG_NAME(reg) : "=r"(value_));                      \
		value_;                                                                            \
	})

#define sysreg_write(reg, value)                                                                   \
	__asm__ volatile("msr " SYSREG_NAME(reg) ", %0" ::"r"((uint64_t)(value)))

/*
 * SP here and now, to read. __builtin_frame_address(0) is where the frame record lies, which is at a frame's bottom
 * only with some compilers (report/prologue.h).
 */
register uintptr_t stack_pointer __asm__("sp");

static inline void isb(void)
{
	__asm__ volatile("isb" ::: "memory");
}

static inline void dsb(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

/* In a loop that waits for another CPU; QEMU's single-threaded TCG lets the next CPU run. */
static inline void cpu_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

static inline void wfi(void)
{
	__asm__ volatile("dsb sy\n\twfi" ::: "memory");
}

/*
 * Mask interrupts and return what was masked before. FIQ stays open: it is the watchdog, and a
 * kernel that hangs with interrupts masked is just what it is for.
 */
static inline uint64_t irq_save(void)
{
	uint64_t flags = sysreg_read(daif);

	__asm__ volatile("msr daifset, #2" ::: "memory");
	return flags;
}

static inline void irq_restore(uint64_t flags)
{
	__asm__ volatile("msr daif, %0" ::"r"(flags) : "memory");
}

/* True on SP_EL1, that is, in an exception handler: kernel threads run on SP_EL0. */
static inline bool on_exception_stack(void)
{
	return sysreg_read(SPSel) & 1;
}

#endif
