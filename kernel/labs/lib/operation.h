/*
 * Operations that may fail, for inject.sweep. One registers itself, in whatever file its like is tested:
 *
 *     OPERATION(stack, "a stack of 16 KiB is made and given back")
 *     {
 *             struct stack s = { .name = "swept" };
 *
 *             if (!window_stack_alloc(&s, 16 * KiB, PAGE_SIZE))
 *                     return false;
 *             window_stack_free(&s);
 *             return true;
 *     }
 *
 * True: it was done, and what it gave has been given back. False: it was refused; then nothing may be
 * held. What is made to live for ever has no way back: MAKING_OPERATION, held once it is done. `inject.sweep
 * op=stack` makes each call that it makes at each site fail in turn.
 */
#ifndef LABS_LIB_OPERATION_H
#define LABS_LIB_OPERATION_H

#include "arch/types.h"

struct operation {
	const char *name;
	const char *sentence;
	bool (*run)(void);
	bool planted; /* broken on purpose: its leak is what the sweep is tested with */
	bool makes;   /* what lives for ever */
};

#define OPERATION(label, sentence_) OPERATION_IN(label, sentence_)
#define PLANTED_OPERATION(label, sentence_) OPERATION_IN(label, sentence_, .planted = true)
#define MAKING_OPERATION(label, sentence_) OPERATION_IN(label, sentence_, .makes = true)

#define OPERATION_IN(label, sentence_, ...)                                                        \
	static bool operation_##label(void);                                                       \
	static const struct operation operation_##label##_entry = {                                \
		.name = #label, .sentence = (sentence_), .run = operation_##label, ##__VA_ARGS__   \
	};                                                                                         \
	static const struct operation *const operation_##label##_row                               \
		__attribute__((used, section(".operations." #label))) =                            \
			&operation_##label##_entry;                                                \
	__attribute__((noinline)) static bool operation_##label(void)

/* Who had the operation's thread killed, where nobody could be told of a refusal; NULL: nobody. */
extern const char *operation_killed_by;

/* The n-th by name, from 0; NULL beyond the last. */
const struct operation *operation_at(size_t n);

/* What is in use, all of it that the kernel can count. */
enum {
	CENSUS_PAGES,
	CENSUS_BLOCKS,
	CENSUS_CHUNKS,
	CENSUS_WINDOW,
	CENSUS_STACKS,
	CENSUS_THREADS,
	CENSUS_EARLY,
	CENSUS_POOLS,
	CENSUS_RANGES,
	NR_CENSUS
};
struct census {
	size_t counts[NR_CENSUS];
};
struct census take_census(void);

/* Ends the boot, and says of what there is more or less, if this is not what there is now. */
void census_expect(const struct census *before);
extern const char *const census_names[NR_CENSUS];

/* What some of the operations work on is made here, once, so that a census does not see it come. */
void operations_prepare(void);

#endif
