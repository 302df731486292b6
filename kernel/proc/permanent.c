/* See permanent.h. permanent_map() and what it calls has to fit the 1 KiB that it is to replace. */
#include "proc/permanent.h"

#include "arch/mmu.h"
#include "report/format.h"
#include "base/protect.h"
#include "base/spinlock.h"
#include "base/string.h"
#include "light/light.h"
#include "mem/bump.h"
#include "mem/page.h"
#include "proc/sched.h"
#include "proc/smp.h"
#include "proc/thread.h"

/* Translation tables and the registry of stacks are everybody's. */
static struct spinlock lock = SPINLOCK_SWITCHED(PROTECT_PERMANENT_LOCK);
static struct permanent_layout layout;

void permanent_layout(struct permanent_layout sizes)
{
	layout = sizes;
}

size_t permanent_slot(void)
{
	return layout.stack + IRQ_STACK_SIZE + EMERGENCY_STACK_SIZE + 3 * PAGE_SIZE;
}

/*
 * protect=-guard: memory where a guard should be. A neighbour's CPU may have put it there already.
 */
static bool fill_guard(uintptr_t va)
{
	uintptr_t page;

	if (protected(PROTECT_GUARD) || mmu_descriptor(va, NULL))
		return true;
	page = light_pages(PAGE_SIZE);
	return page && mmu_map(va, page, PAGE_SIZE, MAP_DATA) == 0;
}

static bool map_with_guards(uintptr_t base, size_t size)
{
	uintptr_t pages = light_pages(size);

	return pages && mmu_map(base, pages, size, MAP_DATA) == 0 && fill_guard(base - PAGE_SIZE) &&
	       fill_guard(base + size);
}

/* Registered first: an address is named after a CPU's piece of it if it lies in one. */
static struct stack block = {
	.name = "boot-stacks",
	.base = BOOT_STACKS,
	.size = BOOT_STACKS_TOP - BOOT_STACKS,
	.guard = PAGE_SIZE,
};

bool permanent_map_block(void)
{
	stack_register(&block);
	return map_with_guards(block.base, block.size);
}

void permanent_unmap_block(void)
{
	stack_unregister(&block);
	mmu_unmap(block.base, block.size);
}

/* --- as loader ------------------------------------------------------------------------------- */

static void name(char *buffer, size_t size, const char *format, unsigned int index)
{
	struct text t = text_in(buffer, size);

	text_format(&t, "%s%u", format, index);
}

/* The guard on each side is the neighbour's stack: all there is room for, and only for this CPU. */
static void place_boot_stack(struct stack *s, unsigned int index)
{
	s->size = layout.boot_stack;
	s->base = BOOT_STACKS_TOP - (index + 1UL) * s->size;
	s->guard = s->size;
	stack_prepare(s, 0);
}

void permanent_paint_below(unsigned int index, struct stack *s)
{
	place_boot_stack(s, index + 1);
}

static void place(struct stack *s, const char *kind, unsigned int index, uintptr_t *at, size_t size)
{
	name(s->name, sizeof(s->name), kind, index);
	s->base = *at + PAGE_SIZE;
	s->size = size;
	s->guard = PAGE_SIZE;
	s->prepared = false;
	*at = stack_top(s);
}

static void place_permanent_stacks(struct cpu *cpu)
{
	uintptr_t at = PERMANENT_STACKS + cpu->index * permanent_slot();

	/* CPU 0's are in the registry: those it booted on. */
	stack_unregister(&cpu->irq_stack);
	stack_unregister(&cpu->emergency_stack);
	place(&cpu->first->stack, "permanent:cpu", cpu->index, &at, layout.stack);
	place(&cpu->irq_stack, "irq:cpu", cpu->index, &at, IRQ_STACK_SIZE);
	place(&cpu->emergency_stack, "emergency:cpu", cpu->index, &at, EMERGENCY_STACK_SIZE);
}

struct cpu *permanent_cpu(unsigned int index, void (*function)(void *), void *argument)
{
	struct cpu *cpu = smp_cpu(index);
	struct thread *t = cpu ? kmem_alloc_aligned(sizeof(*t), 16) : NULL;

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	cpu->first = t;
	name(t->name, sizeof(t->name), "cpu", index);
	name(cpu->boot_stack.name, sizeof(cpu->boot_stack.name), "boot-stack:cpu", index);
	place_boot_stack(&cpu->boot_stack, index);
	stack_register(&cpu->boot_stack);
	place_permanent_stacks(cpu);
	t->cpu = cpu;
	t->state = THREAD_RUNNING;
	thread_prepare(t, function, argument);
	return cpu;
}

/* --- on the boot stack ----------------------------------------------------------------------- */

static bool map_all(const struct stack *const stacks[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!map_with_guards(stacks[i]->base, stacks[i]->size))
			return false;
	return true;
}

bool permanent_map(struct cpu *cpu)
{
	struct stack *stacks[] = { &cpu->first->stack, &cpu->irq_stack, &cpu->emergency_stack };
	uint64_t flags = spin_lock(&lock);
	bool mapped = map_all((const struct stack *const *)stacks, ARRAY_SIZE(stacks));

	for (size_t i = 0; i < ARRAY_SIZE(stacks) && mapped; i++)
		stack_register(stacks[i]);
	spin_unlock(&lock, flags);
	if (!mapped)
		return false;
	/* Each its own, all at once: that is most of the work. */
	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++)
		stack_prepare(stacks[i], 0);
	smp_bind(cpu, cpu->first);
	return true;
}
