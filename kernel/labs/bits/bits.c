/*
 * Bits labs: what the hardware was told to protect, one bit at a time. Two read everything back by
 * name, so that a bit that is lost is a line in a golden; the others take all but one away and do
 * the illegal act. scenarios/test_bits.py is the other half.
 */
#include "arch/descriptor.h"
#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "arch/user.h"
#include "base/cpu.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/system.h"
#include "labs/lib/victim.h"
#include "mem/page.h"
#include "mem/space.h"
#include "proc/smp.h"
#include "proc/syscall.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

STACK_CALLS("kernel/report/exception.c:dispatch", "note_handler_pan", "tick_hook: bits.pan sets it")
STACK_CALLS("kernel/proc/syscall.c:sys_dive", "note_call_pan",
	    "syscall_dive_hook: bits.pan sets it")

/* --- registers -------------------------------------------------------------------------------- */

struct field {
	const char *name;
	uint8_t low, width;
};

/* Arm ARM D13.2.116, D13.2.128, D13.2.95. */
static const struct field sctlr_fields[] = {
	{ "m", 0, 1 },	  { "a", 1, 1 },   { "c", 2, 1 },    { "sa", 3, 1 },   { "sa0", 4, 1 },
	{ "uma", 9, 1 },  { "i", 12, 1 },  { "uct", 15, 1 }, { "wxn", 19, 1 }, { "span", 23, 1 },
	{ "e0e", 24, 1 }, { "ee", 25, 1 }, { "uci", 26, 1 },
};
static const struct field tcr_fields[] = {
	{ "t0sz", 0, 6 },  { "epd0", 7, 1 },   { "irgn0", 8, 2 },  { "orgn0", 10, 2 },
	{ "sh0", 12, 2 },  { "tg0", 14, 2 },   { "t1sz", 16, 6 },  { "a1", 22, 1 },
	{ "epd1", 23, 1 }, { "irgn1", 24, 2 }, { "orgn1", 26, 2 }, { "sh1", 28, 2 },
	{ "tg1", 30, 2 },  { "ips", 32, 3 },   { "as", 36, 1 },
};
static const struct field mair_fields[] = {
	{ "device", 0, 8 },
	{ "normal", 8, 8 },
	{ "tagged", 16, 8 },
};
static const struct field daif_fields[] = {
	{ "f", 6, 1 },
	{ "i", 7, 1 },
	{ "a", 8, 1 },
};

/* All that has a name, and `rest`: the bits that have none. */
static void report_fields(const char *name, uint64_t value, const struct field *fields,
			  size_t count)
{
	record_begin();
	record_add("[bits-lab] %s cpu=%u", name, cpu_local()->index);
	for (size_t i = 0; i < count; i++) {
		uint64_t mask = (1UL << fields[i].width) - 1;

		record_add(" %s=%lu", fields[i].name, value >> fields[i].low & mask);
		value &= ~(mask << fields[i].low);
	}
	record_add(" rest=0x%lx", value);
	record_end();
}

#define REPORT(reg, fields) report_fields(#reg, sysreg_read(reg), fields, ARRAY_SIZE(fields))

static void report_registers(__attribute__((unused)) void *unused)
{
	REPORT(sctlr_el1, sctlr_fields);
	REPORT(tcr_el1, tcr_fields);
	REPORT(mair_el1, mair_fields);
	REPORT(daif, daif_fields);
}

#define REGISTERS_PARAMS(P)                                                                        \
	P(users, 0, 0, 1, "1: with processes, whose addresses then have tables")                   \
	P(others, 0, 0, 1, "1: of CPU 1, too")

LAB(bits, registers, "what the registers that protect say, bit by bit", REGISTERS_PARAMS)
{
	struct thread *other;

	if (a->users)
		system_start(8 * KiB);
	report_registers(NULL);
	if (!a->others)
		return;
	other = smp_start(1, report_registers, NULL);
	if (!other)
		end("bad-args why=no-cpu : CPU 1 did not start; boot with -smp 2 or more");
	smp_join(other, NULL);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static const struct field leaf_fields[] = {
	{ "valid", 0, 1 }, { "attr", 2, 3 }, { "user", 6, 1 }, { "ro", 7, 1 },	 { "sh", 8, 2 },
	{ "af", 10, 1 },   { "ng", 11, 1 },  { "pxn", 53, 1 }, { "uxn", 54, 1 },
};

/* From a root table, as the hardware walks; NULL: there is no table to look in. */
static uint64_t *leaf_of(uintptr_t root, uintptr_t va, unsigned int *level)
{
	uint64_t *entry = NULL;

	for (*level = 1; *level <= 3; ++*level) {
		entry = (uint64_t *)phys_to_virt(root) + (va >> LEVEL_SHIFT(*level)) % ENTRIES;
		if (*level == 3 || !(*entry & DESC_VALID) || !(*entry & DESC_TABLE))
			break;
		root = *entry & DESC_ADDRESS;
	}
	return entry;
}

static void report_leaf(const char *of, uintptr_t root, uintptr_t va)
{
	unsigned int level;
	uint64_t leaf = *leaf_of(root, va, &level);

	record_begin();
	record_add("[bits-lab] map of=%s level=%u", of, level);
	for (size_t i = 0; i < ARRAY_SIZE(leaf_fields); i++) {
		const struct field *f = &leaf_fields[i];

		record_add(" %s=%lu", f->name, leaf >> f->low & ((1UL << f->width) - 1));
	}
	record_end();
}

static uintptr_t kernel_root(void)
{
	return sysreg_read(ttbr1_el1) & DESC_ADDRESS;
}

LINKER_SYMBOL(__text_start);
LINKER_SYMBOL(__text_end);
LINKER_SYMBOL(__rodata_start);
LINKER_SYMBOL(__rodata_end);
LINKER_SYMBOL(__data_start);
LINKER_SYMBOL(__guard_boot_low);
LINKER_SYMBOL(boot_stack_base);
LINKER_SYMBOL(irq_stack_base);
LINKER_SYMBOL(emergency_stack_base);

/* First and last page of what has several; the pages beside what has guards. */
static void report_image(void)
{
	const struct stack *own = &current()->stack;
	const struct {
		const char *of;
		uintptr_t va;
	} rows[] = {
		{ "text", (uintptr_t)__text_start },
		{ "text-end", (uintptr_t)__text_end - 1 },
		{ "rodata", (uintptr_t)__rodata_start },
		{ "rodata-end", (uintptr_t)__rodata_end - 1 },
		{ "data", (uintptr_t)__data_start },
		{ "data-end", (uintptr_t)__guard_boot_low - 1 },
		{ "boot-stack", (uintptr_t)boot_stack_base },
		{ "boot-guard", (uintptr_t)boot_stack_base - PAGE_SIZE },
		{ "irq-stack", (uintptr_t)irq_stack_base },
		{ "irq-guard", (uintptr_t)irq_stack_base - PAGE_SIZE },
		{ "emergency-stack", (uintptr_t)emergency_stack_base },
		{ "emergency-guard", (uintptr_t)emergency_stack_base - PAGE_SIZE },
		{ "device-tree", KVA_BASE + DTB_BASE },
		{ "uart", KVA_BASE + UART_BASE },
		{ "own-stack", own->base },
		{ "guard-below", own->base - PAGE_SIZE },
		{ "guard-above", stack_top(own) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		report_leaf(rows[i].of, kernel_root(), rows[i].va);
}

/* One page of each kind that mmu_map() knows, where nothing else is. */
#define MAPPED PERMANENT_STACKS

static void *new_page(void)
{
	void *page = page_alloc();

	if (!page)
		panic("no-page");
	return page;
}

static void report_kinds(void)
{
	static const char *const kinds[] = {
		[MAP_TEXT] = "kind-text",     [MAP_RODATA] = "kind-rodata",
		[MAP_DATA] = "kind-data",     [MAP_TAGGED] = "kind-tagged",
		[MAP_DEVICE] = "kind-device",
	};
	uintptr_t page = virt_to_phys(new_page());

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uintptr_t va = MAPPED + i * PAGE_SIZE;

		if (mmu_map(va, page, PAGE_SIZE, (enum map_kind)i))
			panic("no-tables");
		report_leaf(kinds[i], kernel_root(), va);
	}
}

static void report_user_kinds(void)
{
	static const char *const kinds[] = {
		[SPACE_TEXT] = "user-text",
		[SPACE_RODATA] = "user-rodata",
		[SPACE_DATA] = "user-data",
		[SPACE_TEXT_WRITABLE] = "user-text-writable",
	};
	struct space s;

	if (!space_create(&s, 255))
		panic("no-space");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uintptr_t va = (i + 1) * PAGE_SIZE;

		if (!space_map_new(&s, va, (enum space_kind)i))
			panic("no-page");
		report_leaf(kinds[i], s.root, va);
	}
	space_destroy(&s);
}

static void report_freed(void)
{
	void *page = new_page();

	report_leaf("ram", kernel_root(), (uintptr_t)page);
	page_free(page);
	report_leaf("ram-freed", kernel_root(), (uintptr_t)page);
}

LAB(bits, mappings, "what each page may be used for, bit by bit", NO_PARAMS)
{
	report_image();
	report_kinds();
	report_user_kinds();
	report_freed();
}

/* --- WXN, PXN --------------------------------------------------------------------------------- */

#define INSTRUCTION_RET 0xd65f03c0
#define SCTLR_WXN (1UL << 19)

/* A page of data with code in it, mapped as the kernel maps its own. */
static void make_code(void)
{
	if (mmu_map(MAPPED, virt_to_phys(new_page()), PAGE_SIZE, MAP_DATA))
		panic("no-tables");
	*(volatile uint32_t *)MAPPED = INSTRUCTION_RET;
	dsb();
	__asm__ volatile("ic iallu" ::: "memory");
}

static void forget_all(void)
{
	dsb();
	__asm__ volatile("tlbi vmalle1" ::: "memory");
	dsb();
	isb();
}

static void take_away(bool wxn, bool pxn)
{
	unsigned int level;

	if (wxn)
		sysreg_write(sctlr_el1, sysreg_read(sctlr_el1) & ~SCTLR_WXN);
	if (pxn)
		*leaf_of(kernel_root(), MAPPED, &level) &= ~DESC_PXN;
	forget_all();
}

static void execute_victim(__attribute__((unused)) void *unused)
{
	((void (*)(void))MAPPED)();
	report("[bits-lab] executed it");
}

#define EXECUTE_PARAMS(P)                                                                          \
	P(wxn, 1, 0, 1, "0: SCTLR_EL1.WXN is taken away")                                          \
	P(pxn, 1, 0, 1, "0: the page's PXN is taken away")

LAB(bits, execute, "execute a page that can be written", EXECUTE_PARAMS)
{
	make_code();
	take_away(!a->wxn, !a->pxn);
	report("[bits-lab] executing a writable page");
	victim_run(execute_victim, NULL, 16 * KiB);
}

/* --- PAN -------------------------------------------------------------------------------------- */

#define CRASH_DIVE 6 /* user/crasher.c */

static bool pan_open;
static uint32_t ticked;

static void report_pan(const char *in)
{
	uint64_t pan = sysreg_read(s3_0_c4_c2_3) >> 22 & 1;

	pan_open |= !pan;
	report("[bits-lab] pan in=%s pan=%lu", in, pan);
}

static void note_handler_pan(void)
{
	if (!ticked++)
		report_pan("handler");
}

static int64_t note_call_pan(__attribute__((unused)) uint64_t argument)
{
	report_pan("system-call");
	return 0;
}

LAB(bits, pan, "PSTATE.PAN, where the kernel has a process behind it", NO_PARAMS)
{
	if (!(sysreg_read(id_aa64mmfr1_el1) >> 20 & 0xf))
		end("bad-args why=no-pan : this CPU has no PAN; boot with -cpu max");
	syscall_dive_hook = note_call_pan;
	system_start(8 * KiB);
	tick_hook = note_handler_pan;
	thread_sleep(2);
	system_run("crasher", CRASH_DIVE, NULL);
	end(pan_open ? "survived" : "ok");
}
