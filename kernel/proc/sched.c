/* See sched.h; sched_tick, sched_switch and sched_kill are report/upcall.h's. */
#include "proc/sched.h"

#include "arch/psci.h"
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "arch/user.h"
#include "base/cpu.h"
#include "base/protect.h"
#include "proc/ipc.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"
#include "report/upcall.h"

struct thread *all_threads;

/* protect=-canary: the same for everybody, so that whoever knows one knows all. */
#define CANARY_OFF 0x00c0ffee00c0ffee

static struct thread *queue_head, *queue_tail;
static uint64_t canary_state;
void (*idle_hook)(void);

static inline void enqueue(struct thread *t)
{
	t->state = THREAD_READY;
	t->next = NULL;
	if (queue_head)
		queue_tail->next = t;
	else
		queue_head = t;
	queue_tail = t;
}

void sched_ready(struct thread *t)
{
	uint64_t flags = irq_save();

	enqueue(t);
	irq_restore(flags);
}

static struct thread *take_ready(void)
{
	struct thread *t = queue_head;

	if (t)
		queue_head = t->next;
	return t ? t : cpu_local()->idle;
}

/* Choose t: vector_entry resumes its frame, rests SP_EL1 there, and makes t the current thread. */
static struct frame *run(struct thread *t)
{
	t->cpu = cpu_local();
	t->state = THREAD_RUNNING;
	t->frame.irq_stack_top = t->cpu->irq_stack_top;
	return &t->frame;
}

/* At EL0 SP is the program's own business; the guard words of both its stacks are not. */
static struct frame *check_user(struct thread *t)
{
	if (protected(PROTECT_SENTINEL) &&
	    (!stack_guard_words_ok(t->user_stack) || !thread_stack_guard_ok(t)))
		return fault_check(&t->frame, CLASS_SENTINEL, "sentinel");
	return NULL;
}

/* The software checks of a thread that was interrupted, or gives way: cheap ones, at every tick. */
struct frame *sched_check(struct thread *t)
{
	uintptr_t sp = t->frame.sp;

	if (frame_is_user(&t->frame))
		return check_user(t);
	if (protected(PROTECT_SP_CHECK) && !stack_owns_sp(&t->stack, sp))
		return fault_check(&t->frame, CLASS_WILD_SP, "sp-check");
	if (protected(PROTECT_SP_CHECK) && sp % 16)
		return fault_check(&t->frame, CLASS_MISALIGNED_SP, "sp-check");
	if (protected(PROTECT_SENTINEL) && !stack_guard_words_ok(&t->stack))
		return fault_check(&t->frame, CLASS_SENTINEL, "sentinel");
	return NULL;
}

/* Any CPU but the first has one thread, and is switched off when that has ended (smp.h). */
static struct frame *sched_other_cpu(struct thread *t)
{
	struct frame *instead = t->state == THREAD_RUNNING ? sched_check(t) : NULL;

	if (instead)
		return instead;
	if (t->state != THREAD_RUNNING)
		psci_cpu_off();
	return &t->frame;
}

struct frame *sched_switch(void)
{
	struct thread *t = current();

	struct frame *instead;

	if (t->cpu->index)
		return sched_other_cpu(t);
	/* An ended thread was looked at in thread_exit(), while it could still be blamed. */
	instead = t->state == THREAD_RUNNING ? sched_check(t) : NULL;
	if (instead)
		return instead;
	if (t == t->cpu->idle)
		t->state = THREAD_READY; /* but in no queue: take_ready() falls back on it */
	else if (t->state == THREAD_RUNNING)
		enqueue(t);
	return run(take_ready());
}

static void wake_sleepers(uint64_t now)
{
	for (struct thread *t = all_threads; t; t = t->all_next) {
		if (t->state == THREAD_BLOCKED && t->wake_at && t->wake_at <= now) {
			t->wake_at = 0;
			sched_ready(t);
		}
	}
}

struct frame *sched_tick(void)
{
	struct thread *t = current();
	struct frame *instead;

	wake_sleepers(cpu_local()->ticks);
	if (protected(PROTECT_PREEMPT) || t == t->cpu->idle)
		return sched_switch();
	instead = sched_check(t);
	return instead ? instead : &t->frame;
}

void sched_align(void)
{
	thread_sleep(2);
}

static void wake_joiners(const struct thread *ended)
{
	for (struct thread *t = all_threads; t; t = t->all_next) {
		if (t->state == THREAD_BLOCKED && t->waits_for == ended) {
			t->waits_for = NULL;
			sched_ready(t);
		}
	}
}

struct frame *sched_kill(const char *detector)
{
	struct thread *t = current();

	t->state = THREAD_KILLED;
	t->killed_by = detector;
	if (t->cpu->index)
		psci_cpu_off();
	wake_joiners(t);
	ipc_ended(t);
	process_ended(t->process);
	return run(take_ready());
}

/* Guard words are looked at here once more, as the last tick may be long ago. */
void thread_exit(void)
{
	struct thread *t = current();

	thread_yield();
	irq_save();
	t->state = THREAD_EXITED;
	wake_joiners(t);
	ipc_ended(t);
	process_ended(t->process);
	thread_yield();
	panic("exited-thread-ran");
}

/* splitmix64: not for secrecy, only so that no two threads and no two boot lines share a canary. */
uint64_t sched_canary(void)
{
	uint64_t z = (canary_state += 0x9e3779b97f4a7c15);

	if (!protected(PROTECT_CANARY))
		return CANARY_OFF;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Nobody is ready, and without a tick nobody ever will be. */
static void expect_tick(void)
{
	if (!timer_ticks() && protected(PROTECT_IDLE_TICK))
		end("hang by=no-tick : every thread waits, and this CPU's tick is off");
}

__attribute__((noreturn)) static void idle(__attribute__((unused)) void *unused)
{
	for (;;) {
		expect_tick();
		wfi();
		if (idle_hook)
			idle_hook();
	}
}

void sched_init(const char *seed, size_t length)
{
	struct thread *t;

	canary_state = sysreg_read(cntpct_el0);
	for (size_t i = 0; i < length; i++)
		canary_state = (canary_state ^ (unsigned char)seed[i]) * 0x100000001b3;
	pool_seed(canary_state);
	if (!pool_init(&thread_pool, "threads", sizeof(struct thread), MAX_THREADS))
		panic("no-thread-pool");
	t = thread_create("idle", idle, NULL, PAGE_SIZE);
	if (!t)
		panic("no-idle-thread");
	t->killable = false;
	cpu_local()->idle = t;
	take_ready();
}

void sched_start(void)
{
	current()->state = THREAD_EXITED;
	thread_yield();
	panic("boot-context-resumed");
}
