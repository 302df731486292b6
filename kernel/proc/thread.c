/* See thread.h. */
#include "proc/thread.h"

#include "base/cpu.h"
#include "report/format.h"
#include "base/string.h"
#include "mem/window.h"
#include "proc/grow.h"
#include "proc/sched.h"
#include "report/inject.h"

#define SPSR_EL1T 0x4 /* EL1, SP_EL0, nothing masked */

struct mem_pool thread_pool;

void thread_start(void); /* arch/switch.S: calls x19(x20), then thread_exit() */

static void set_names(struct thread *t, const char *name)
{
	struct text full = text_in(t->stack.name, sizeof(t->stack.name));

	string_copy(t->name, name, sizeof(t->name));
	text_format(&full, "thread:%s", t->name);
}

static void link_thread(struct thread *t)
{
	uint64_t flags = irq_save();

	t->all_next = all_threads;
	all_threads = t;
	irq_restore(flags);
}

static void unlink_thread(struct thread *t)
{
	uint64_t flags = irq_save();
	struct thread **link = &all_threads;

	while (*link != t)
		link = &(*link)->all_next;
	*link = t->all_next;
	irq_restore(flags);
}

struct thread *(thread_create)(const char *name, void (*function)(void *), void *argument,
			       size_t stack)
{
	return thread_create_guarded(name, function, argument, stack, PAGE_SIZE);
}

struct thread *(thread_create_guarded)(const char *name, void (*function)(void *), void *argument,
				       size_t stack, size_t guard)
{
	struct thread *t = thread_make(name, function, argument, stack, guard);

	if (t)
		sched_ready(t);
	return t;
}

INJECT_SITE(thread, create, thread_make_from, 0, "no thread")

/* noinline: GDB counts its calls (report/inject.h). */
__attribute__((noinline)) struct thread *(thread_make_from)(struct mem_pool *pool, const char *name,
							    void (*function)(void *),
							    void *argument, size_t stack,
							    size_t guard)
{
	struct thread *t;

	if (inject(&thread_create_site, stack))
		return NULL;
	t = pool_alloc(pool);
	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->home = pool;
	set_names(t, name);
	if (!window_stack_alloc(&t->stack, stack, guard)) {
		pool_free(pool, t);
		return NULL;
	}
	t->killable = true;
	t->cpu = cpu_local();
	thread_prepare(t, function, argument);
	link_thread(t);
	return t;
}

void thread_prepare(struct thread *t, void (*function)(void *), void *argument)
{
	t->canary = sched_canary();
	t->frame.x[19] = (uint64_t)function;
	t->frame.x[20] = (uint64_t)argument;
	t->frame.sp = stack_top(&t->stack);
	t->frame.elr = (uint64_t)thread_start;
	t->frame.spsr = SPSR_EL1T;
}

struct thread *(thread_make)(const char *name, void (*function)(void *), void *argument,
			     size_t stack, size_t guard)
{
	return thread_make_from(&thread_pool, name, function, argument, stack, guard);
}

/* Masked, so that nobody wakes us before we sleep. */
void thread_block(void)
{
	current()->state = THREAD_BLOCKED;
	thread_yield();
}

void thread_free(struct thread *t)
{
	unlink_thread(t);
	if (!grow_release(t))
		window_stack_free(&t->stack);
	pool_free(t->home, t);
}

void thread_wait(struct thread *t)
{
	uint64_t flags = irq_save();

	while (t->state != THREAD_EXITED && t->state != THREAD_KILLED) {
		current()->waits_for = t;
		thread_block();
	}
	irq_restore(flags);
}

enum thread_state thread_join(struct thread *t, const char **detector)
{
	enum thread_state how;

	thread_wait(t);
	how = t->state;
	if (detector)
		*detector = t->killed_by;
	thread_free(t);
	return how;
}

void thread_sleep(uint64_t ticks)
{
	uint64_t flags = irq_save();

	current()->wake_at = cpu_local()->ticks + ticks;
	thread_block();
	irq_restore(flags);
}

void thread_yield(void)
{
	__asm__ volatile("svc #0" ::: "memory");
}

bool thread_stack_guard_ok(const struct thread *t)
{
	return stack_guard_words_ok(&t->stack);
}

size_t thread_stack_high_watermark_bytes(const struct thread *t)
{
	return stack_high_watermark(&t->stack);
}
