/* Stack labs on more than one CPU: -smp 2 or more. */
#include "arch/watch.h"
#include "base/cpu.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/recurse.h"
#include "proc/sched.h"
#include "proc/smp.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"
#include "report/turn.h"

STACK_UNBOUNDED("thread:cpu*", THREAD_STACK_DEFAULT,
		"the victims of labs on other CPUs overflow on purpose")
STACK_STARTS("thread:cpu*", "secondary_victim meeting_victim enter_stack", THREAD_STACK_DEFAULT,
	     "start() and make() are given them")
STACK_CALLS("kernel/report/exception.c:dispatch", "wait_in_the_list",
	    "watch_hook: only stack.two_enter sets it")

#define PAST_PARAM(P)                                                                              \
	P(past, 2 * KiB, 256, 3 * KiB, "bytes below it where the recursion would turn back")
#define SECONDARY_PARAMS(P) P(cpu, 1, 1, NR_CPUS - 1, "the CPU that overflows") PAST_PARAM(P)

static uint64_t lab_past;

static struct thread *start(unsigned int index, void (*function)(void *))
{
	struct thread *t = smp_start(index, function, NULL);

	if (!t)
		end("bad-args why=no-cpu : CPU %u did not start; boot with -smp %u or more", index,
		    index + 1);
	return t;
}

static void overflow(void)
{
	uintptr_t floor = current()->stack.base - lab_past;

	recurse(floor);
	report("[stack-lab] came back cpu=%u", cpu_local()->index);
}

static void secondary_victim(__attribute__((unused)) void *unused)
{
	report("[stack-lab] recursing cpu=%u", cpu_local()->index);
	overflow();
}

/* The other CPU has no run queue to wake us from: look once a tick. */
static void wait_for_end(const struct thread *t)
{
	while (READ_ONCE(t->state) == THREAD_RUNNING)
		thread_sleep(1);
}

LAB(stack, secondary, "another CPU overflows its thread's stack", SECONDARY_PARAMS)
{
	struct thread *t;

	lab_past = a->past;
	t = start((unsigned int)a->cpu, secondary_victim);
	wait_for_end(t);
	end(t->state == THREAD_KILLED ? "contained by=%s" : "survived", t->killed_by);
}

static uint32_t arrived;

static void meet(void)
{
	__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < 2)
		cpu_relax();
}

static void meeting_victim(__attribute__((unused)) void *unused)
{
	meet();
	overflow();
}

/* Both have taken their abort before either reports; the reports come whole, in the order of the CPUs. */
LAB(stack, two_cpus, "two CPUs overflow at the same moment", PAST_PARAM)
{
	struct thread *other;
	struct thread *here;

	lab_past = a->past;
	turn_rendezvous = 2;
	report("[stack-lab] recursing on two CPUs");
	other = start(1, meeting_victim);
	here = thread_create("victim", meeting_victim, NULL, THREAD_STACK_DEFAULT);
	if (!here)
		panic("no-victim");
	thread_join(here, NULL);
	wait_for_end(other);
	end("survived");
}

/* --- two that change the list of stacks ---------------------------------------------------------- */

#define PATIENCE 100000 /* times that a CPU lets the other run */

static struct thread *made[2]; /* for their stacks alone: they never run */
static uint32_t inside;
static bool met;

/* It has read where the list begins, and not yet written it: does the other come in, too? */
static void wait_in_the_list(void)
{
	if (__atomic_add_fetch(&inside, 1, __ATOMIC_ACQ_REL) == 2)
		__atomic_store_n(&met, true, __ATOMIC_RELEASE);
	for (int n = 0; n < PATIENCE && !__atomic_load_n(&met, __ATOMIC_ACQUIRE); n++)
		cpu_relax();
	__atomic_sub_fetch(&inside, 1, __ATOMIC_ACQ_REL);
}

static void enter_stack(__attribute__((unused)) void *unused)
{
	meet();
	watch_arm(stack_list_address(), sizeof(uintptr_t), WATCH_STORES);
	stack_register(&made[cpu_index()]->stack);
}

static bool is_listed(const struct stack *wanted)
{
	const struct stack *s = stack_next(NULL);

	while (s && s != wanted)
		s = stack_next(s);
	return s;
}

static struct thread *make(const char *name)
{
	struct thread *t = thread_make(name, enter_stack, NULL, THREAD_STACK_DEFAULT, PAGE_SIZE);

	if (!t)
		panic("no-thread");
	return t;
}

static const struct stack *unlisted(unsigned int index, const char *name)
{
	made[index] = make(name);
	stack_unregister(&made[index]->stack);
	return &made[index]->stack;
}

LAB(stack, two_enter, "two CPUs enter a stack each in the list of stacks at the same time",
    NO_PARAMS)
{
	struct thread *here = make("here");
	struct thread *other = start(1, enter_stack); /* waits for us */
	const struct stack *left = unlisted(0, "left");
	const struct stack *right = unlisted(1, "right");

	watch_hook = wait_in_the_list;
	sched_ready(here);
	thread_join(here, NULL);
	wait_for_end(other);
	report("[stack-lab] entered met=%s left=%s right=%s", met ? "yes" : "no",
	       is_listed(left) ? "listed" : "lost", is_listed(right) ? "listed" : "lost");
	/* There is no other stack: that guard is its alone. */
	report("[stack-lab] writing above the right one");
	FAULT_SITE(above_right, "str xzr, [%0]", "r"(stack_top(right)));
	end("survived");
}
