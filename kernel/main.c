/* From the MMU being on to the first thread: the order of everything. Includes any layer, and nothing includes it. */
#include "arch/gic.h"
#include "arch/mmu.h"
#include "arch/timer.h"
#include "core/console.h"
#include "core/cpu.h"
#include "core/fdt.h"
#include "core/format.h"
#include "core/inject.h"
#include "core/lab.h"
#include "core/light.h"
#include "arch/marks.h"
#include "core/protect.h"
#include "core/report.h"
#include "core/stack.h"
#include "core/string.h"
#include "mem/page.h"
#include "mem/window.h"
#include "proc/initrd.h"
#include "proc/sched.h"
#include "proc/smp.h"
#include "proc/thread.h"

LINKER_SYMBOL(__build_id);
LINKER_SYMBOL(__image_end);
LINKER_SYMBOL(boot_stack_base);
LINKER_SYMBOL(irq_stack_base);
LINKER_SYMBOL(irq_stack_top);
LINKER_SYMBOL(emergency_stack_base);

#define BUILD_ID_OFFSET 16 /* behind the ELF note's header and its name "GNU" */
#define BUILD_ID_BYTES 20
#define LAB_STACK_SIZE (16 * KiB)

static struct cpu boot_cpu;
struct cpu *cpus[NR_CPUS] = { &boot_cpu };
struct emergency emergency[NR_CPUS];
struct thread boot_thread;
uint64_t boot_marks[NR_MARKS];

__attribute__((noreturn)) void boot_main(uintptr_t dtb, unsigned int el);

/* What the device tree says: the boot line, RAM, CPUs. */
struct machine {
	const char *line;
	size_t line_length;
	uint64_t ram; /* bytes */
	unsigned int cpus;
	uint64_t redistributors, redistributors_size; /* the GIC's second region of them, 0: none */
	const char *wrong;			      /* NULL, or why the machine cannot be used */
};

/* Physical, and not on the boot stack, which has a budget. From `reserved` on RAM holds QEMU's files. */
static struct {
	uintptr_t start, end; /* 0: QEMU was given none */
	uintptr_t reserved;
} initrd;

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

/* A bare ELF finds it at the start of RAM; a Linux Image (-initrd) is told where, in whole 2 MiB. */
static bool map_device_tree(uintptr_t pa)
{
	if (pa >= DTB_BASE && pa < DTB_BASE + DTB_MAX)
		return true;
	return pa >= DTB_BASE && pa % DTB_MAX == 0 &&
	       mmu_map(KVA_BASE + pa, pa, DTB_MAX, MAP_RODATA) == 0;
}

/* Not on the boot stack, either. */
enum { ASK_LINE, ASK_MEMORY, ASK_CPUS, ASK_GIC, ASK_INITRD_START, ASK_INITRD_END };
static struct fdt_question asked[] = {
	[ASK_LINE] = { { "chosen" }, "bootargs" },
	[ASK_MEMORY] = { { "memory" }, "reg" },
	[ASK_CPUS] = { { "cpus", "cpu" }, "reg", smp_ids, NR_CPUS },
	[ASK_GIC] = { { "intc" }, "reg" },
	[ASK_INITRD_START] = { { "chosen" }, "linux,initrd-start" },
	[ASK_INITRD_END] = { { "chosen" }, "linux,initrd-end" },
};

static void read_line(struct machine *m, const struct fdt_question *q)
{
	m->line = q->value;
	m->line_length = q->length;
	if (m->line_length && m->line[m->line_length - 1] == '\0')
		m->line_length--;
}

static void read_memory(struct machine *m, const struct fdt_question *q)
{
	if (q->length < 16)
		m->wrong = "no-memory-node";
	else
		m->ram = fdt_cells((const char *)q->value + 8, 2);
}

/* A region that is no CPU's is none to map, whatever the tree says. */
static bool beyond_first_region(unsigned int count)
{
	for (unsigned int i = 0; i < count && i < NR_CPUS; i++)
		if (mpidr_index(smp_ids[i]) >= GICR_CPUS)
			return true;
	return false;
}

/* reg of the GIC: the distributor, its redistributors, and a second region of them. */
static void read_second_region(struct machine *m, const struct fdt_question *q)
{
	const char *reg = q->value;

	if (q->length < 48 || !beyond_first_region(m->cpus))
		return;
	m->redistributors = fdt_cells(reg + 32, 2);
	m->redistributors_size = fdt_cells(reg + 40, 2);
}

static uintptr_t address(const struct fdt_question *q)
{
	return q->length == 4 || q->length == 8 ? fdt_cells(q->value, q->length / 4) : 0;
}

/* Nothing behind the first of the two is given out as memory. */
static void read_initrd(struct machine *m, uintptr_t dtb)
{
	uintptr_t end_of_ram = RAM_BASE + m->ram;

	initrd.start = address(&asked[ASK_INITRD_START]);
	initrd.reserved = dtb < DTB_BASE + DTB_MAX ? end_of_ram : dtb;
	if (!initrd.start)
		return;
	initrd.end = address(&asked[ASK_INITRD_END]);
	if (initrd.start < RAM_BASE || initrd.start > initrd.end || initrd.end > end_of_ram)
		m->wrong = "initrd-outside-ram";
	if (initrd.start < initrd.reserved)
		initrd.reserved = ALIGN_DOWN(initrd.start, PAGE_SIZE);
}

static struct machine read_device_tree(uintptr_t pa)
{
	struct machine m = { .wrong = NULL };

	if (!map_device_tree(pa) ||
	    !fdt_ask(phys_to_virt(pa), DTB_MAX - pa % DTB_MAX, asked, ARRAY_SIZE(asked))) {
		m.wrong = "no-device-tree";
		return m;
	}
	read_line(&m, &asked[ASK_LINE]);
	read_memory(&m, &asked[ASK_MEMORY]);
	m.cpus = asked[ASK_CPUS].nodes;
	read_second_region(&m, &asked[ASK_GIC]);
	read_initrd(&m, pa);
	return m;
}

/* Even a boot line that will be refused tells which run this is: the harness compares the nonce. */
static void add_nonce(const struct machine *m)
{
	static const char key[] = "nonce=";
	size_t n = sizeof(key) - 1;

	for (size_t i = 0; i + n <= m->line_length; i++) {
		if (strncmp(m->line + i, key, n) != 0 || (i && m->line[i - 1] != ' '))
			continue;
		record_add(" ");
		for (; i < m->line_length && m->line[i] > ' ' && m->line[i] <= '~'; i++)
			record_add("%c", m->line[i]);
		return;
	}
}

static void report_boot(const struct machine *m, unsigned int el)
{
	record_begin();
	record_add("[boot] highwater build=");
	for (int i = 0; i < BUILD_ID_BYTES; i++)
		record_add("%02x", (unsigned char)__build_id[BUILD_ID_OFFSET + i]);
	add_nonce(m);
	record_add(" el=%u cpus=%u ram=%lu", el, m->cpus, m->ram);
	record_end();
}

static void report_line(const struct machine *m)
{
	record_begin();
	record_add("[boot] args : ");
	for (size_t i = 0; i < m->line_length; i++)
		record_add("%c", m->line[i] >= ' ' && m->line[i] <= '~' ? m->line[i] : '?');
	record_end();
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

/* Read-only: where programs come from, nobody writes. */
static void use_initrd(void)
{
	uintptr_t start = ALIGN_DOWN(initrd.start, PAGE_SIZE);
	size_t bytes = ALIGN_UP(initrd.end, PAGE_SIZE) - start;

	if (!initrd.start)
		return;
	if (mmu_map(KVA_BASE + start, start, bytes, MAP_RODATA))
		panic("no-tables-for-initrd");
	initrd_use(phys_to_virt(initrd.start), initrd.end - initrd.start);
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
	struct machine m;

	boot_cpu_init();
	console_init();
	boot_mark(MARK_CPU);
	m = read_device_tree(dtb ? dtb : DTB_BASE);
	boot_mark(MARK_TREE);
	report_boot(&m, el);
	if (m.wrong)
		panic(m.wrong);
	report_line(&m);
	if (el == 3)
		end("bad-args why=started-at-el3 : QEMU has no firmware then; start it without secure=on");
	if (!gic_present())
		end("bad-args why=no-gicv3 : this machine has another interrupt controller; start QEMU with -M virt,gic-version=3");
	lab_boot_line(m.line, m.line_length);
	report_protections();
	inject_banner();
	boot_mark(MARK_LINE);
	prepare_stacks();
	boot_mark(MARK_STACKS);
	smp_cpus = m.cpus;
	/* Now, as the early heap takes nothing back: who starts a CPU later leaves no trace there. */
	for (unsigned int i = 1; i < smp_cpus && i < NR_CPUS; i++)
		smp_cpu(i);
	if (!gic_init(m.redistributors, m.redistributors_size))
		panic("no-tables-for-gic");
	gic_init_cpu();
	boot_mark(MARK_DEVICES);
	if (lab_is_light()) {
		light_memory(virt_to_phys(__image_end), RAM_BASE + m.ram);
		lab_main(NULL);
	}
	map_ram(initrd.reserved);
	use_initrd();
	boot_mark(MARK_RAM);
	window_init();
	boot_mark(MARK_WINDOW);
	sched_init(m.line, m.line_length);
	boot_mark(MARK_SCHED);
	if (lab_is_for_boot_stack())
		lab_main(NULL);
	if (!thread_create("lab", lab_main, NULL, LAB_STACK_SIZE))
		panic("no-lab-thread");
	boot_mark(MARK_THREAD);
	timer_start();
	sched_start();
}
