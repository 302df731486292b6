/*
 * Spawn labs: the kernel itself goes by a process's address, in a system call. Without PAN that works, and
 * is how a kernel comes to read what a process made up; without PXN, to run it.
 */
#include "arch/user.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/system.h"
#include "proc/syscall.h"
#include "report/report.h"
#include "report/upcall.h"

STACK_CALLS("kernel/proc/syscall.c:sys_dive", "follow_code",
	    "syscall_dive_hook: spawn.user_code sets it")
STACK_CALLS("enter_user_code", "lab_return",
	    "a `ret` of the program at EL0, which is in no image; this is one of the kernel's")
STACK_CALLS("kernel/proc/syscall.c:sys_dive", "follow_pointer",
	    "syscall_dive_hook: spawn.user_pointer sets it")

#define CRASH_DIVE 6 /* user/crasher.c */
#define RET 0xd65f03c0

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

/* The first `ret` of the program from here on: with nothing in the way, the kernel comes back from it. */
static uintptr_t find_return(uintptr_t va)
{
	const uint32_t *code = user_view(va);

	while (code && *code != RET) {
		va += sizeof(*code);
		code = user_view(va);
	}
	if (!code)
		panic("no-return-in-program");
	return va;
}

/* noinline: the frame in which it dies. */
__attribute__((noinline)) static void enter_user_code(uintptr_t va)
{
	((void (*)(void))va)();
}

static int64_t follow_code(uint64_t table)
{
	uintptr_t code = find_return(current()->user->elr);

	report("[spawn] entering user=%pA", (void *)code);
	if (table)
		user_table_set(current()->ttbr0);
	enter_user_code(code);
	return 0;
}

LAB(spawn, user_code, "a system call jumps into a program's code", POINTER_PARAMS)
{
	syscall_dive_hook = follow_code;
	system_start(a->stack);
	system_expect_killed("crasher", CRASH_DIVE | a->table << 8);
}
