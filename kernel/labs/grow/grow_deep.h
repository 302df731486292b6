/*
 * A recursion that shows whether a stack that grew is still right: each frame has locals, a pointer into
 * its caller's frame, one to itself that lives in a register, and numbers that its callees have to spill.
 * All of it is looked at on the way back. The same source is compiled several times (build.mk), each with
 * another way to see the end of the stack coming:
 *
 *   plain     none
 *   patched   -fpatchable-function-entry=2: two NOPs, which proc/patch.c turns into a check
 *   signed    the same, and signed return addresses
 *   hooked    -finstrument-functions: a call behind the prologue, and one before the return
 */
#ifndef LABS_GROW_GROW_DEEP_H
#define LABS_GROW_GROW_DEEP_H

#include "arch/sysreg.h"
#include "arch/types.h"
#include "base/cpu.h"
#include "labs/lib/array.h"

struct deep_link {
	uint64_t words[4];
	struct deep_link *up; /* the caller's */
	uint64_t depth;
};

/* `left` frames below this one. The caller's link must have depth left + 1. */
typedef uint64_t deep_function(uint64_t left, struct deep_link *up);
deep_function grow_deep_plain, grow_deep_patched, grow_deep_signed, grow_deep_hooked;

/* A frame of 9 KiB, of which only the ends are written. */
uint64_t grow_big_patched(uint64_t seed);
uint64_t grow_big_hooked(uint64_t seed);

/* What is wrong of what was looked at, since deep_run() began. */
struct deep_check {
	unsigned long frames, locals, pointers, registers;
	uintptr_t lowest; /* SP in the last frame */
};
extern struct deep_check deep_check;

/*
 * The variants …_two, for two CPUs at once (labs/grow/grow_two.c): each CPU has a check of its own, says when it
 * is at its deepest, and waits there until it may go back. Inline: nothing patched calls anything unpatched.
 */
deep_function grow_deep_plain_two, grow_deep_patched_two;
#define DEEP_CPUS 2
extern struct deep_check deep_checks[DEEP_CPUS];
extern uint32_t deep_arrived, deep_leave;
extern size_t deep_last_frame[DEEP_CPUS]; /* bytes */

static inline __attribute__((always_inline)) void deep_wait(size_t frame)
{
	deep_last_frame[cpu_index() % DEEP_CPUS] = frame;
	__atomic_add_fetch(&deep_arrived, 1, __ATOMIC_ACQ_REL);
	while (!__atomic_load_n(&deep_leave, __ATOMIC_ACQUIRE))
		cpu_relax();
}

/* `frames` frames deep and back. */
void deep_run(deep_function *deep, uint64_t frames);
bool deep_right(void);

/* The compiler may not know where the value comes from: it has to keep it. */
#define LAUNDER(v) __asm__ volatile("" : "+r"(v))

/* Locals lie so close to SP, or they are those of another place. */
#define DEEP_FRAME_MOST 512

#define GROW_DEEP(variant) GROW_DEEP_INTO(variant, deep_check, (void)0)
#define GROW_DEEP_TWO(variant)                                                                     \
	GROW_DEEP_INTO(variant, deep_checks[cpu_index() % DEEP_CPUS],                              \
		       deep_wait((uintptr_t)up - (uintptr_t)self))

#define GROW_DEEP_INTO(variant, check, bottom)                                                     \
	__attribute__((noinline))                                                                  \
	uint64_t grow_deep_##variant(uint64_t left, struct deep_link *up)                          \
	{                                                                                          \
		struct deep_link own = {                                                           \
			.words = { left, left + 1, left + 2, left + 3 },                           \
			.up = up,                                                                  \
			.depth = left,                                                             \
		};                                                                                 \
		struct deep_link *self = &own;                                                     \
		uint64_t a = left * 3, b = left * 5, c = left * 7, d = left * 11;                  \
                                                                                                   \
		LAUNDER(self);                                                                     \
		LAUNDER(a);                                                                        \
		LAUNDER(b);                                                                        \
		LAUNDER(c);                                                                        \
		LAUNDER(d);                                                                        \
		if (left) {                                                                        \
			grow_deep_##variant(left - 1, self);                                       \
		} else {                                                                           \
			(check).lowest = stack_pointer;                                            \
			bottom;                                                                    \
		}                                                                                  \
		(check).frames++;                                                                  \
		(check).locals +=                                                                  \
			own.depth != left || own.words[0] != left || own.words[3] != left + 3;     \
		(check).pointers += self != &own || own.up != up || up->depth != left + 1 ||       \
				    (uintptr_t)self - stack_pointer >= DEEP_FRAME_MOST;            \
		(check).registers +=                                                               \
			a != left * 3 || b != left * 5 || c != left * 7 || d != left * 11;         \
		return (check).frames;                                                             \
	}

#define GROW_BIG(variant)                                                                          \
	__attribute__((noinline)) uint64_t grow_big_##variant(uint64_t seed)                       \
	{                                                                                          \
		volatile uint64_t array[9 * KiB / sizeof(uint64_t)];                               \
                                                                                                   \
		keep_array(array);                                                                 \
		array[0] = seed;                                                                   \
		array[ARRAY_SIZE(array) - 1] = seed + 1;                                           \
		return array[0] + array[ARRAY_SIZE(array) - 1];                                    \
	}

#endif
