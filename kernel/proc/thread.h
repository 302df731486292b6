/* Threads: made, ended, waited for, measured. What a thread is: base/current.h. */
#ifndef PROC_THREAD_H
#define PROC_THREAD_H

#include "base/current.h"
#include "base/stack_note.h"
#include "mem/pool.h"

#define MAX_THREADS 64
#define THREAD_STACK_DEFAULT (16 * KiB)

/* Thread objects come from here; made in sched_init(). */
extern struct mem_pool thread_pool;

/*
 * A thread that will run function(argument) on a stack of `stack` bytes (a multiple of the page), and may
 * be killed by a fault. NULL: no thread object, or no stack; nothing is kept then.
 */
struct thread *thread_create(const char *name, void (*function)(void *), void *argument,
			     size_t stack);

/* The same with `guard` bytes unmapped on each side of the stack, a multiple of the page. */
struct thread *thread_create_guarded(const char *name, void (*function)(void *), void *argument,
				     size_t stack, size_t guard);

/* The same, but not yet in the run queue: for whoever starts it himself (smp.c). */
struct thread *thread_make(const char *name, void (*function)(void *), void *argument, size_t stack,
			   size_t guard);

/* The same from another pool of thread objects. */
struct thread *thread_make_from(struct mem_pool *pool, const char *name, void (*function)(void *),
				void *argument, size_t stack, size_t guard);

/* The stack report learns from the call itself where the thread begins. */
#define thread_create(name, function, argument, stack)                                             \
	({                                                                                         \
		STACK_START(name, function, stack)                                                 \
		(thread_create)(name, function, argument, stack);                                  \
	})
#define thread_create_guarded(name, function, argument, stack, guard)                              \
	({                                                                                         \
		STACK_START(name, function, stack)                                                 \
		(thread_create_guarded)(name, function, argument, stack, guard);                   \
	})
#define thread_make(name, function, argument, stack, guard)                                        \
	({                                                                                         \
		STACK_START(name, function, stack)                                                 \
		(thread_make)(name, function, argument, stack, guard);                             \
	})
#define thread_make_from(pool, name, function, argument, stack, guard)                             \
	({                                                                                         \
		STACK_START(name, function, stack)                                                 \
		(thread_make_from)(pool, name, function, argument, stack, guard);                  \
	})

/* Let t, its stack placed, begin with function(argument) when it is resumed. */
void thread_prepare(struct thread *t, void (*function)(void *), void *argument);

__attribute__((noreturn)) void thread_exit(void);

/* Wait, with interrupts masked, until somebody calls sched_ready(). */
void thread_block(void);

/* Wait until t ended; its stack and its object stay, for thread_free(). */
void thread_wait(struct thread *t);

/*
 * Wait until t ended, give back its stack and its object: THREAD_EXITED, or THREAD_KILLED and then, in
 * *detector (may be NULL), by what.
 */
enum thread_state thread_join(struct thread *t, const char **detector);

/* Give back what an ended thread, or one that never ran, has. */
void thread_free(struct thread *t);

void thread_yield(void);
void thread_sleep(uint64_t ticks);

/* Are the guard words at the bottom of its stack intact? */
bool thread_stack_guard_ok(const struct thread *t);

/* Painted high-water mark of its stack in bytes since it was made. See stack.h for what it misses. */
size_t thread_stack_high_watermark_bytes(const struct thread *t);

#endif
