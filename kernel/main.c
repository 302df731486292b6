/* From the MMU being on to the first thread: the order of everything. Includes any layer, and nothing includes it. */
#include "arch/gic.h"
#include "arch/marks.h"
#include "arch/mmu.h"
#include "arch/timer.h"
#include "base/cpu.h"
#include "report/format.h"
#include "base/protect.h"
#include "base/stack.h"
#include "base/string.h"
#include "lab/lab.h"
#include "light/light.h"
#include "machine.h"
#include "mem/page.h"
#include "mem/window.h"
#include "proc/sched.h"
#include "proc/smp.h"
#include "proc/thread.h"
#include "report/console.h"
#include "report/inject.h"
#include "report/report.h"

LINKER_SYMBOL(__image_end);
LINKER_SYMBOL(boot_stack_base);
LINKER_SYMBOL(irq_stack_base);
LINKER_SYMBOL(irq_stack_top);
LINKER_SYMBOL(emergency_stack_base);

#define LAB_STACK_SIZE (16 * KiB)

__attribute__((noreturn)) void boot_main(uintptr_t dtb, unsigned int el);

static void static_stack(struct stack *s, const char *name, char *base, size_t size)
{
	string_copy(s->name, name, sizeof(s->name));
	s->base = (uintptr_t)base;
	s->size = size;
	s->guard = PAGE_SIZE;
	stack_register(s);
}

/* CPU 0 and the context this runs in, so that a fault from here on has names for everything. */
static void boot_cpu_init(void)
{
	struct cpu *cpu = &boot_cpu;

	boot_thread.cpu = cpu;
	boot_thread.state = THREAD_RUNNING;
	string_copy(boot_thread.name, "boot", sizeof(boot_thread.name));
	cpu->irq_stack_top = (uintptr_t)irq_stack_top;
	emergency[0].frame =
		(uintptr_t)emergency_stack_base + EMERGENCY_STACK_SIZE - sizeof(struct frame);
	static_stack(&boot_thread.stack, "boot:cpu0", boot_stack_base, BOOT_STACK_SIZE);
	static_stack(&cpu->irq_stack, "irq:cpu0", irq_stack_base, IRQ_STACK_SIZE);
	static_stack(&cpu->emergency_stack, "emergency:cpu0", emergency_stack_base,
		     EMERGENCY_STACK_SIZE);
}

/* What is off; so many fit into a line. */
#define PROTECTIONS_PER_LINE 10

static void report_protections(void)
{
	unsigned int off = 0;

	record_begin();
	record_add("[boot] protect");
	for (int i = 0; i < NR_PROTECTIONS; i++) {
		if (protected(i))
			continue;
		if (off && off % PROTECTIONS_PER_LINE == 0) {
			record_end();
			record_begin();
			record_add("[boot] protect");
		}
		record_add(" %s=off", protect_name(i));
		off++;
	}
	record_add(" : %s on", off ? "all others are" : "all are");
	record_end();
}

/* protect=-guard: the guards of the image's own stacks become ordinary memory. */
static void map_static_guards(void)
{
	uintptr_t guards[] = {
		boot_thread.stack.base - PAGE_SIZE,
		boot_cpu.irq_stack.base - PAGE_SIZE,
		boot_cpu.emergency_stack.base - PAGE_SIZE,
		stack_top(&boot_cpu.emergency_stack),
	};

	for (size_t i = 0; i < ARRAY_SIZE(guards); i++)
		mmu_map(guards[i], virt_to_phys(guards[i]), PAGE_SIZE, MAP_DATA);
}

static void prepare_stacks(void)
{
	/* This very stack is in use, and start.S has painted it: only its guard words are missing. */
	stack_prepare(&boot_thread.stack, BOOT_STACK_SIZE - GUARD_WORDS_BYTES);
	stack_prepare(&boot_cpu.irq_stack, 0);
	stack_prepare(&boot_cpu.emergency_stack, 0);
	if (!protected(PROTECT_GUARD))
		map_static_guards();
	if (!protected(PROTECT_EMERGENCY))
		emergency[0].frame = 0;
}

static void map_ram(uintptr_t until)
{
	uintptr_t start = ALIGN_UP((uintptr_t)__image_end, PAGE_SIZE);
	uintptr_t end_of_ram = KVA_BASE + until;

	if (end_of_ram <= start)
		panic("not-enough-ram");
	if (mmu_map(start, virt_to_phys(start), end_of_ram - start, MAP_DATA))
		panic("no-tables-for-ram");
	page_init(start, end_of_ram);
}

void boot_main(uintptr_t dtb, unsigned int el)
{
	const struct machine *m;

	boot_cpu_init();
	console_init();
	boot_mark(MARK_CPU);
	m = machine_read(dtb ? dtb : DTB_BASE);
	boot_mark(MARK_TREE);
	machine_report(m, el);
	if (m->wrong)
		panic(m->wrong);
	machine_report_line(m);
	if (el == 3)
		end("bad-args why=started-at-el3 : QEMU has no firmware then; start it without secure=on");
	if (!gic_present())
		end("bad-args why=no-gicv3 : this machine has another interrupt controller; start QEMU with -M virt,gic-version=3");
	lab_boot_line(m->line, m->line_length);
	report_protections();
	inject_banner();
	boot_mark(MARK_LINE);
	prepare_stacks();
	boot_mark(MARK_STACKS);
	smp_cpus = m->cpus;
	/* Now, as the early heap takes nothing back: who starts a CPU later leaves no trace there. */
	for (unsigned int i = 1; i < smp_cpus && i < NR_CPUS; i++)
		smp_cpu(i);
	if (!gic_init(m->redistributors, m->redistributors_size))
		panic("no-tables-for-gic");
	gic_init_cpu();
	boot_mark(MARK_DEVICES);
	if (lab_is_light()) {
		light_memory(virt_to_phys(__image_end), RAM_BASE + m->ram);
		lab_main(NULL);
	}
	map_ram(m->reserved);
	machine_use_initrd();
	boot_mark(MARK_RAM);
	window_init();
	boot_mark(MARK_WINDOW);
	sched_init(m->line, m->line_length);
	boot_mark(MARK_SCHED);
	if (lab_is_for_boot_stack())
		lab_main(NULL);
	if (!thread_create("lab", lab_main, NULL, LAB_STACK_SIZE))
		panic("no-lab-thread");
	boot_mark(MARK_THREAD);
	timer_start();
	sched_start();
}
