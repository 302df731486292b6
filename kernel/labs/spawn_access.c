/*
 * Spawn labs: the kernel itself goes by a process's address, in a system call. Without PAN that works, and
 * is how a kernel comes to read what a process made up.
 */
#include "arch/user.h"
#include "core/lab.h"
#include "core/report.h"
#include "core/stack_note.h"
#include "labs/system.h"
#include "proc/syscall.h"

STACK_CALLS("kernel/proc/syscall.c:sys_dive", "follow_pointer",
	    "syscall_dive_hook: spawn.user_pointer sets it")

#define CRASH_DIVE 6 /* user/crasher.c */

/* noinline: the frame in which it dies. SP_EL0 of the caller is a good address of its own. */
__attribute__((noinline)) static void read_user(uintptr_t va)
{
	FAULT_SITE(user_read, "ldr xzr, [%0]", "r"(va));
}

/* `table`: the process's own is in TTBR0 again, so that nothing is left but the CPU's PAN (FEAT_PAN). */
static int64_t follow_pointer(uint64_t table)
{
	uintptr_t sp = current()->user->sp;

	report("[spawn] reading user=%pA", (void *)sp);
	if (table)
		user_table_set(current()->ttbr0);
	read_user(sp);
	return 0;
}

#define POINTER_PARAMS(P)                                                                          \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(table, 0, 0, 1, "1: the process's table is in TTBR0: only the CPU's own PAN is left")

LAB(spawn, user_pointer, "a system call goes by a user's address unchecked", POINTER_PARAMS)
{
	syscall_dive_hook = follow_pointer;
	system_start(a->stack);
	system_expect_killed("crasher", CRASH_DIVE | a->table << 8);
}
