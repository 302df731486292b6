/* See smp.h. */
#include "proc/smp.h"

#include "arch/psci.h"
#include "base/cpu.h"
#include "report/format.h"
#include "base/protect.h"
#include "base/string.h"
#include "mem/bump.h"
#include "mem/page.h"
#include "mem/window.h"
#include "proc/thread.h"
#include "report/inject.h"

unsigned int smp_cpus = 1;
uint64_t smp_ids[NR_CPUS];

struct cpu *smp_cpu(unsigned int index)
{
	if (!cpus[index]) {
		cpus[index] = kmem_alloc_aligned(sizeof(struct cpu), 16);
		if (!cpus[index])
			return NULL;
		memset(cpus[index], 0, sizeof(struct cpu));
		cpus[index]->index = index;
	}
	return cpus[index];
}

static void name_stack(struct stack *s, const char *kind, unsigned int index)
{
	struct text t = text_in(s->name, sizeof(s->name));

	text_format(&t, "%s:cpu%u", kind, index);
}

/* The exception and the emergency stack, guards on both sides like any other. */
static bool make_stacks(struct cpu *cpu)
{
	name_stack(&cpu->irq_stack, "irq", cpu->index);
	name_stack(&cpu->emergency_stack, "emergency", cpu->index);
	if (!window_stack_alloc(&cpu->irq_stack, IRQ_STACK_SIZE, PAGE_SIZE))
		return false;
	if (window_stack_alloc(&cpu->emergency_stack, EMERGENCY_STACK_SIZE, PAGE_SIZE))
		return true;
	window_stack_free(&cpu->irq_stack);
	return false;
}

static void free_stacks(struct cpu *cpu)
{
	window_stack_free(&cpu->irq_stack);
	window_stack_free(&cpu->emergency_stack);
	cpu->irq_stack_top = 0;
	emergency[cpu->index].frame = 0;
}

void smp_bind(struct cpu *cpu, struct thread *t)
{
	struct emergency *e = &emergency[cpu->index];

	cpu->irq_stack_top = stack_top(&cpu->irq_stack);
	if (protected(PROTECT_EMERGENCY))
		e->frame = stack_top(&cpu->emergency_stack) - sizeof(struct frame);
	t->cpu = cpu;
	t->state = THREAD_RUNNING;
	t->frame.irq_stack_top = cpu->irq_stack_top;
}

bool smp_alone(void)
{
	for (unsigned int i = 1; i < NR_CPUS; i++)
		if (cpus[i] && cpus[i]->irq_stack_top)
			return false;
	return true;
}

static int switch_on(unsigned int index, const struct thread *t);

INJECT_SITE(cpu, on, switch_on, -3, "the firmware refuses to start a CPU: DENIED")

/* noinline: its calls are counted, and GDB makes them fail, at its first instruction. */
__attribute__((noinline)) static int switch_on(unsigned int index, const struct thread *t)
{
	return inject(&cpu_on_site, 0) ? -3 : psci_cpu_on(mpidr_of(index), secondary_start, t);
}

bool smp_run(unsigned int index, struct thread *t)
{
	struct cpu *cpu = index && index < smp_cpus ? smp_cpu(index) : NULL;

	if (!cpu || cpu->irq_stack_top || !make_stacks(cpu))
		return false;
	smp_bind(cpu, t);
	if (switch_on(index, t) == 0)
		return true;
	free_stacks(cpu);
	return false;
}

struct thread *(smp_start)(unsigned int index, void (*function)(void *), void *argument)
{
	char name[THREAD_NAME_MAX] = "";
	struct text text = text_in(name, sizeof(name));
	struct thread *t;

	text_format(&text, "cpu%u", index);
	t = thread_make(name, function, argument, THREAD_STACK_DEFAULT, PAGE_SIZE);
	if (t && smp_run(index, t))
		return t;
	if (t)
		thread_free(t);
	return NULL;
}

/* It has no run queue to wake us from, and is not off at once: look once a tick. */
enum thread_state smp_join(struct thread *t, const char **detector)
{
	struct cpu *cpu = t->cpu;
	enum thread_state how;

	while (READ_ONCE(t->state) == THREAD_RUNNING || !psci_cpu_is_off(mpidr_of(cpu->index)))
		thread_sleep(1);
	how = t->state;
	if (detector)
		*detector = t->killed_by;
	free_stacks(cpu);
	thread_free(t);
	return how;
}
