/* What every spawn lab stands on: servers, slots, a census of all that a process takes, and its return. */
#ifndef LABS_LIB_SYSTEM_H
#define LABS_LIB_SYSTEM_H

#include "proc/process.h"

/* Once a boot: slots, fs and init; kernel stacks, init's too, of `stack` bytes. init: NULL for the kernel's own. */
void system_start(size_t stack);
void system_start_chain(size_t block, size_t stack, void (*init)(void *));

/* What the stacks are to have: the first parameter of every lab that starts them. */
#define SYSTEM_STACK_PARAM(P)                                                                      \
	P(stack, 8 * KiB, 8 * KiB, 64 * KiB, "bytes of each kernel stack, of init's too")

/* Ask init for a program: its pid, or an error (negative). */
int64_t system_launch(const char *name, uint64_t argument);

/* The same, and wait: its exit code, or ERROR_KILLED and *detector (may be NULL). Ends the boot if refused. */
int64_t system_run(const char *name, uint64_t argument, const char **detector);

/*
 * Run a program twice, which must exit with `expected` and leave nothing behind; then
 * system_report_stacks().
 */
void system_expect_exit(const char *name, uint64_t argument, int64_t expected);

/*
 * Run a program that must be killed, twice, and prove each time that it alone was: another program runs, and
 * everything is back. What the verdict is: contained, or caught, where a system call refused it; ends the
 * boot as survived, if it came to its end.
 */
struct ending {
	const char *word, *detector;
};
struct ending system_kill(const char *name, uint64_t argument);

/* The same, and end the boot with that, after system_report_stacks(). */
__attribute__((noreturn)) void system_expect_killed(const char *name, uint64_t argument);

/* Everything that a process takes, counted. */
struct system_count {
	size_t pages, processes, open_files, heap, messages;
};
struct system_count system_counts(void);

/* [spawn] census …; ends the boot as caught by=leak-check if anything is not back. */
void system_expect_census(const struct system_count *before);

/*
 * [spawn] stacks …: the highest mark of any process's kernel stack and of init's; ends the boot in panic
 * where less than a quarter was left free. Every spawn lab calls it last; spawn.chain, whose variants are
 * there to be too deep, where it is asked to.
 */
void system_report_stacks(void);

#endif
