/* Spawn labs: one program and what becomes of it. The chain that starts them: spawn_chain.c. */
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/system.h"
#include "mem/page.h"
#include "proc/abi.h"
#include "proc/spawn.h"
#include "report/report.h"

LAB_NAMES(crash_name)

#define HELLO_PARAMS(P)                                                                            \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(code, 42, 0, 255, "what the program exits with")

LAB(spawn, hello, "a program at EL0 says hello, exits, and leaves nothing behind", HELLO_PARAMS)
{
	system_start(a->stack);
	system_expect_exit("hello", a->code, (int64_t)a->code);
}

/* enum crash of user/crasher.c. */
enum crash { CRASH_NULL, CRASH_OVERFLOW };

static const char *const crash_names[] = {
	"null", "overflow", "undefined", "kernel-read", "kernel-argument", "execute-data",
};

static const char *crash_name(uint64_t value)
{
	return value < ARRAY_SIZE(crash_names) ? crash_names[value] : NULL;
}

#define CRASHER_PARAMS(P)                                                                          \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(how, CRASH_NULL, 0, 5, "what it dies of", .name = crash_name)

LAB(spawn, crasher, "a program that breaks: it alone is killed", CRASHER_PARAMS)
{
	system_start(a->stack);
	system_expect_killed("crasher", a->how | 1000 << 8);
}

#define USER_OVERFLOW_PARAMS(P)                                                                    \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(calls, 230, 1, 65535, "calls deep, 80 bytes each; the user stack has 16 KiB")

LAB(spawn, user_overflow, "a program recurses through the bottom of its user stack",
    USER_OVERFLOW_PARAMS)
{
	system_start(a->stack);
	system_expect_killed("crasher", CRASH_OVERFLOW | a->calls << 8);
}
