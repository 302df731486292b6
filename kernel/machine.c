/* See machine.h. Like main.c it may include from any folder: it asks for several of them. */
#include "machine.h"

#include "arch/mmu.h"
#include "arch/mpidr.h"
#include "arch/virt.h"
#include "base/fdt.h"
#include "base/string.h"
#include "proc/initrd.h"
#include "proc/smp.h"
#include "report/report.h"

LINKER_SYMBOL(__build_id);

#define BUILD_ID_OFFSET 16 /* behind the ELF note's header and its name "GNU" */
#define BUILD_ID_BYTES 20

/* Physical, and not on the boot stack, which has a budget. */
static struct {
	uintptr_t start, end; /* 0: QEMU was given none */
} initrd;

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
	m->reserved = dtb < DTB_BASE + DTB_MAX ? end_of_ram : dtb;
	if (!initrd.start)
		return;
	initrd.end = address(&asked[ASK_INITRD_END]);
	if (initrd.start < RAM_BASE || initrd.start > initrd.end || initrd.end > end_of_ram)
		m->wrong = "initrd-outside-ram";
	if (initrd.start < m->reserved)
		m->reserved = ALIGN_DOWN(initrd.start, PAGE_SIZE);
}

const struct machine *machine_read(uintptr_t pa)
{
	static struct machine machine;
	struct machine *m = &machine;

	if (!map_device_tree(pa) ||
	    !fdt_ask(phys_to_virt(pa), DTB_MAX - pa % DTB_MAX, asked, ARRAY_SIZE(asked))) {
		m->wrong = "no-device-tree";
		return m;
	}
	read_line(m, &asked[ASK_LINE]);
	read_memory(m, &asked[ASK_MEMORY]);
	m->cpus = asked[ASK_CPUS].nodes;
	read_second_region(m, &asked[ASK_GIC]);
	read_initrd(m, pa);
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

void machine_report(const struct machine *m, unsigned int el)
{
	record_begin();
	record_add("[boot] highwater build=");
	for (int i = 0; i < BUILD_ID_BYTES; i++)
		record_add("%02x", (unsigned char)__build_id[BUILD_ID_OFFSET + i]);
	add_nonce(m);
	record_add(" el=%u cpus=%u ram=%lu", el, m->cpus, m->ram);
	record_end();
}

void machine_report_line(const struct machine *m)
{
	record_begin();
	record_add("[boot] args : ");
	for (size_t i = 0; i < m->line_length; i++)
		record_add("%c", m->line[i] >= ' ' && m->line[i] <= '~' ? m->line[i] : '?');
	record_end();
}

/* Read-only: where programs come from, nobody writes. */
void machine_use_initrd(void)
{
	uintptr_t start = ALIGN_DOWN(initrd.start, PAGE_SIZE);
	size_t bytes = ALIGN_UP(initrd.end, PAGE_SIZE) - start;

	if (!initrd.start)
		return;
	if (mmu_map(KVA_BASE + start, start, bytes, MAP_RODATA))
		panic("no-tables-for-initrd");
	initrd_use(phys_to_virt(initrd.start), initrd.end - initrd.start);
}
