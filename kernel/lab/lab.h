/*
 * What a lab is, and how it registers itself. A lab is one function and, above it, its parameters:
 *
 *     #define RECURSE_PARAMS(P) \
 *             P(stack, 16 * KiB, 4 * KiB, 64 * KiB, "bytes of the victim's stack") \
 *             P(past, 2 * KiB, 0, 3 * KiB, "bytes below it where the recursion would stop")
 *
 *     LAB(stack, recurse, "overflow a thread's stack by recursion", RECURSE_PARAMS)
 *     {
 *             … a->stack … a->past …
 *     }
 *
 * That makes `lab=stack.recurse stack=8K` work on the boot line, `go stack=8K` on the serial line,
 * `break lab_stack_recurse` and `set var stack_recurse_args.stack = 8192` in GDB, and a row in lab=list.
 * A parameter of words has them behind its help, P(adjust, 1, 0, 2, "what is rewritten", .name = adjust_word):
 * `adjust=frames` on the lines, the number 1 in the lab and in GDB.
 */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include "arch/types.h"
#include "base/site.h"
#include "base/stack_note.h"

/*
 * With a sixth word in its row, P(op, 0, 0, 63, "…", .name = op_name), a parameter's values have names:
 * the function gives that of a number, NULL beyond the last. The boot line and [lab] enter then say the
 * name; GDB goes on writing the number.
 */
struct param {
	const char *key;
	uint64_t initial, min, max;
	const char *help;
	const char *(*name)(uint64_t value); /* NULL: it is a number */
};

struct lab {
	const char *name; /* family.name */
	const char *sentence;
	void (*entry)(void); /* lab_<family>_<name> */
	const struct param *params;
	size_t param_count;
	bool on_boot_stack; /* run before there are threads */
	bool light;	    /* and before there is more memory than the image */
	uint64_t *values;   /* <family>_<name>_args: one uint64_t a parameter, in their order */
};

/* All there are, by name (kernel.ld). */
extern const struct lab *const __labs_start[];
extern const struct lab *const __labs_end[];

/* For the stack report: a function that gives names to a parameter's values. LAB_WORDS says it itself. */
#define LAB_NAMES(function) STACK_CALLS("kernel/lab/param.c:*", #function, "struct param: name")

/* Names for 0, 1 and so on: LAB_WORDS(adjust_word, "none", "frames") makes what .name wants. */
#define LAB_WORDS(function, ...)                                                                   \
	static const char *function(uint64_t value)                                                \
	{                                                                                          \
		static const char *const words[] = { __VA_ARGS__ };                                \
                                                                                                   \
		return value < ARRAY_SIZE(words) ? words[value] : NULL;                            \
	}                                                                                          \
	LAB_NAMES(function)

#define NO_PARAMS(P)
#define LAB_MEMBER(key, ...) uint64_t key;
#define LAB_INITIAL(key, initial, ...) initial,
#define LAB_ROW(key_, initial_, min_, max_, help_, ...)                                            \
	{ .key = #key_,                                                                            \
	  .initial = (initial_),                                                                   \
	  .min = (min_),                                                                           \
	  .max = (max_),                                                                           \
	  .help = (help_),                                                                         \
	  ##__VA_ARGS__ },

#define LAB(family, label, sentence_, PARAMS) LAB_IN(family, label, sentence_, PARAMS, false, false)

#define LAB_NOT_ITS_THREADS(family, label)                                                         \
	STACK_IGNORE("kernel/lab/lab.c:lab_main", "lab_" #family "_" #label, "thread:lab",         \
		     "it runs on the boot stack")

/* The same on the boot stack, before the scheduler runs. */
#define LAB_ON_BOOT_STACK(family, label, sentence_, PARAMS)                                        \
	LAB_NOT_ITS_THREADS(family, label)                                                         \
	LAB_IN(family, label, sentence_, PARAMS, true, false)

/* The same before RAM is mapped and the scheduler is made: it brings its own memory (light/light.h). */
#define LAB_LIGHT(family, label, sentence_, PARAMS)                                                \
	LAB_NOT_ITS_THREADS(family, label)                                                         \
	LAB_IN(family, label, sentence_, PARAMS, true, true)

#define LAB_IN(family, label, sentence_, PARAMS, early, light_)                                    \
	struct family##_##label##_args {                                                           \
		PARAMS(LAB_MEMBER)                                                                 \
	};                                                                                         \
	struct family##_##label##_args family##_##label##_args = { PARAMS(LAB_INITIAL) };          \
	static const struct param family##_##label##_params[] = { PARAMS(LAB_ROW) };               \
	static void family##_##label(struct family##_##label##_args *a);                           \
	void lab_##family##_##label(void);                                                         \
	static const struct lab family##_##label##_lab = {                                         \
		.name = #family "." #label,                                                        \
		.sentence = (sentence_),                                                           \
		.entry = lab_##family##_##label,                                                   \
		.params = family##_##label##_params,                                               \
		.param_count = ARRAY_SIZE(family##_##label##_params),                              \
		.on_boot_stack = (early),                                                          \
		.light = (light_),                                                                 \
		.values = (uint64_t *)&family##_##label##_args,                                    \
	};                                                                                         \
	static const struct lab *const family##_##label##_row                                      \
		__attribute__((used, section(".labs." #family "." #label))) =                      \
			&family##_##label##_lab;                                                   \
	__attribute__((noinline)) void lab_##family##_##label(void)                                \
	{                                                                                          \
		lab_enter(&family##_##label##_lab);                                                \
		family##_##label(&family##_##label##_args);                                        \
	}                                                                                          \
	static void family##_##label(__attribute__((unused)) struct family##_##label##_args *a)

/* Check the values as they are now (GDB may have changed them) and print [lab] enter. */
void lab_enter(const struct lab *lab);

/* This lab waits for ms by itself: the watchdog gives it so many more from now on. */
void lab_takes(uint64_t ms);

/* What the boot line says: read it, or end in bad-args; then, from its own thread, run the lab. */
void lab_boot_line(const char *line, size_t length);
void lab_main(void *unused);

/* Is it one for the boot stack? Then main.c calls lab_main() itself; a light one before all the rest. */
bool lab_is_for_boot_stack(void);
bool lab_is_light(void);

#endif
