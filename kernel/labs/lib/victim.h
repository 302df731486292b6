/* The other side of every stack lab: a thread that breaks, and the proof of what became of it. */
#ifndef LABS_LIB_VICTIM_H
#define LABS_LIB_VICTIM_H

#include "arch/types.h"

/* What must come sooner or later may be late on a busy host: so many ticks, and then it does not come. */
#define PATIENCE_TICKS 400
#include "base/current.h"
#include "base/stack.h"
#include "base/stack_note.h"

/*
 * Run function(argument) in a thread named "victim" on a stack of `stack` bytes, and end the boot:
 *   - on-fault=halt (default): the fault ends it; if the victim comes back, survived.
 *   - on-fault=kill: the victim must be killed twice, and after each death another thread must have run
 *     and all memory be back: contained.
 */
__attribute__((noreturn)) void victim_run(void (*function)(void *), void *argument, size_t stack);

#define victim_run(function, ...)                                                                  \
	({                                                                                         \
		STACK_START("victim", function, 0)                                                 \
		(victim_run)(function, __VA_ARGS__);                                               \
	})

/*
 * The same on 16 KiB of stack with `guard` bytes of guard. If the victim comes back, [stack-lab] neighbour
 * says whether the stack below was written to.
 */
__attribute__((noreturn)) void victim_run_guarded(void (*function)(void *), void *argument,
						  size_t guard);

#define victim_run_guarded(function, ...)                                                          \
	({                                                                                         \
		STACK_START("victim", function, 0)                                                 \
		(victim_run_guarded)(function, __VA_ARGS__);                                       \
	})

/*
 * The same in a thread that make(argument) creates. Comes back if the victim does: what that means, the lab
 * says.
 */
void victim_run_made(struct thread *(*make)(void *), void *argument);

/* A painted stack that nobody uses, made at the first call. The victim's lies directly above it. */
const struct stack *victim_neighbour(void);

#endif
