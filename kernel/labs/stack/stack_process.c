/*
 * Stack labs: the two stacks of a process. The kernel's, overflowed inside a system call, with a backtrace
 * from EL1 to EL0; the user's, overflowed at EL0, with one from EL0 to EL1.
 */
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/recurse.h"
#include "labs/lib/system.h"
#include "proc/syscall.h"
#include "report/report.h"

STACK_CALLS("kernel/proc/syscall.c:sys_dive", "dive",
	    "syscall_dive_hook: stack.process_kernel sets it")
STACK_IGNORE("kernel/proc/syscall.c:sys_dive", "dive", "thread:*.*",
	     "stack.process_kernel overflows that stack on purpose")
STACK_MARK("stack/process_kernel*", "thread:*.*",
	   "stack.process_kernel overflows that stack on purpose")

/* enum crash of user/crasher.c. */
enum crash { CRASH_OVERFLOW = 1, CRASH_DIVE = 6 };

/* No margin is asked of the kernel stacks: one of them is what overflows. */
__attribute__((noreturn)) static void expect_killed(enum crash how, uint64_t amount)
{
	struct ending e = system_kill("crasher", how | amount << 8);

	end("%s by=%s", e.word, e.detector);
}

static int64_t dive(uint64_t past)
{
	recurse(current()->stack.base - past);
	return 0;
}

#define PROCESS_KERNEL_PARAMS(P)                                                                   \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(past, 2 * KiB, 0, 3 * KiB, "bytes below it where the recursion would stop")

LAB(stack, process_kernel, "overflow a process's kernel stack inside a system call",
    PROCESS_KERNEL_PARAMS)
{
	syscall_dive_hook = dive;
	system_start(a->stack);
	expect_killed(CRASH_DIVE, a->past);
}

#define PROCESS_USER_PARAMS(P)                                                                     \
	P(calls, 230, 1, 65535, "calls deep, 80 bytes each; the user stack has 16 KiB")

LAB(stack, process_user, "overflow a process's user stack at EL0", PROCESS_USER_PARAMS)
{
	system_start(KERNEL_STACK_DEFAULT);
	expect_killed(CRASH_OVERFLOW, a->calls);
}
