/* Stack labs on more than one CPU: -smp 2 or more. */
#include "core/cpu.h"
#include "core/fault.h"
#include "core/lab.h"
#include "core/report.h"
#include "labs/recurse.h"
#include "proc/smp.h"
#include "proc/thread.h"

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
	fault_rendezvous = 2;
	report("[stack-lab] recursing on two CPUs");
	other = start(1, meeting_victim);
	here = thread_create("victim", meeting_victim, NULL, THREAD_STACK_DEFAULT);
	if (!here)
		panic("no-victim");
	thread_join(here, NULL);
	wait_for_end(other);
	end("survived");
}
