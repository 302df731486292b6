/*
 * See light.h. light_fault() alone runs on more than 1 KiB: on the stack that enter.S takes for
 * it.
 */
#include "light/light.h"

#include "arch/esr.h"
#include "arch/psci.h"
#include "base/cpu.h"
#include "base/spinlock.h"
#include "base/stack.h"
#include "base/string.h"
#include "report/console.h"
#include "report/fault.h"
#include "report/report.h"

struct light_entry light_entry;

static void put(struct light_line *line, char c)
{
	if (line->length < sizeof(line->bytes) - 1)
		line->bytes[line->length++] = c;
	else
		line->bytes[line->length - 1] = '~';
}

void light_text(struct light_line *line, const char *text)
{
	while (*text)
		put(line, *text++);
}

void light_begin(struct light_line *line, const char *text)
{
	line->length = 0;
	light_text(line, text);
}

static void put_key(struct light_line *line, const char *key)
{
	put(line, ' ');
	light_text(line, key);
	put(line, '=');
}

/* The highest power of the base goes first, so that no digits have to wait in a buffer. */
static void put_number(struct light_line *line, uint64_t value, uint64_t base)
{
	uint64_t power = 1;

	while (value / power >= base)
		power *= base;
	for (; power; power /= base)
		put(line, "0123456789abcdef"[value / power % base]);
}

void light_number(struct light_line *line, const char *key, uint64_t value)
{
	put_key(line, key);
	put_number(line, value, 10);
}

void light_address(struct light_line *line, const char *key, uint64_t value)
{
	put_key(line, key);
	light_text(line, "0x");
	put_number(line, value, 16);
}

void light_say(struct light_line *line)
{
	line->bytes[line->length] = '\n';
	console_write(line->bytes, line->length + 1);
}

void light_end(const char *verdict)
{
	struct light_line line;

	end_begin();
	light_begin(&line, "[end] ");
	light_text(&line, verdict);
	light_say(&line);
	psci_system_off();
}

static struct spinlock lock = SPINLOCK_SWITCHED(PROTECT_LIGHT_LOCK);
static uintptr_t next_page, end_of_pages;

void light_memory(uintptr_t start, uintptr_t end)
{
	next_page = ALIGN_UP(start, PAGE_SIZE);
	end_of_pages = ALIGN_DOWN(end, PAGE_SIZE);
}

uintptr_t light_pages(size_t bytes)
{
	uint64_t flags = spin_lock(&lock);
	uintptr_t at = 0;

	if (bytes <= end_of_pages - next_page) {
		at = next_page;
		next_page += bytes;
	}
	spin_unlock(&lock, flags);
	return at;
}

uintptr_t light_next_page_address(void)
{
	return (uintptr_t)&next_page;
}

size_t light_pages_left(void)
{
	return end_of_pages - next_page;
}

/* --- what a fault comes to ------------------------------------------------------------------- */

uint32_t light_fault_taken; /* enter.S: whose CPU came first */
char light_fault_stack[LIGHT_FAULT_STACK_SIZE] __attribute__((aligned(16), section(".noinit")));

static const char *const kind_names[] = {
	[KIND_SYNC] = "sync",
	[KIND_IRQ] = "irq",
	[KIND_FIQ] = "fiq",
	[KIND_SERROR] = "serror",
};

static bool is_watch(uint64_t esr)
{
	return esr_class(esr) == EC_WATCH_SAME;
}

static bool in_guard_page(uintptr_t far)
{
	const struct stack *s = stack_find_with_guards(far);

	return s && !stack_contains(s, far);
}

static const char *detector(uint64_t esr, uintptr_t far)
{
	if (is_watch(esr))
		return "watchpoint";
	return esr_far_valid(esr) && in_guard_page(far) ? "guard-page" : "light-vectors";
}

/* The one it began on, unless SP is already where it was to go. */
static const struct stack *own_stack(const struct cpu *cpu, uintptr_t sp)
{
	return stack_owns_sp(&cpu->first->stack, sp) ? &cpu->first->stack : &cpu->boot_stack;
}

void light_fault(uint64_t kind)
{
	uintptr_t sp = sysreg_read(sp_el0);
	const struct stack *own = own_stack(cpus[cpu_index()], sp);
	uint64_t esr = sysreg_read(esr_el1);
	uintptr_t far = sysreg_read(far_el1);
	bool has_far = esr_far_valid(esr) || is_watch(esr);
	const char *class = esr_class_name(esr);

	record_begin();
	record_add("[EXC] light %s", kind_names[kind]);
	if (kind == KIND_SYNC)
		record_add(" ec=0x%02x", esr_class(esr));
	if (kind == KIND_SYNC && has_far) {
		record_add(" far=");
		record_add_sp(own, far);
	}
	record_add(" elr=%pS sp=", (void *)sysreg_read(elr_el1));
	record_add_sp(own, sp);
	record_add(" cpu=%u", cpu_index());
	if (kind == KIND_SYNC)
		record_add(" raw=0x%lx : %s", far, class ? class : "reserved exception class");
	record_end();
	if (fault_report_hook)
		fault_report_hook();
	if (kind == KIND_FIQ)
		fault_hang("watchdog");
	end("caught by=%s", kind == KIND_SYNC ? detector(esr, far) : "light-vectors");
}
