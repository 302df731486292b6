/*
 * The one writer of records. A record is built in the CPU's line buffer of the current level and
 * goes out whole, so a record that a fault cuts short is never seen in part. See report.h for the
 * grammar.
 */
#include "report/report.h"

#include "arch/psci.h"
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/cpu.h"
#include "report/format.h"
#include "base/protect.h"
#include "report/console.h"
#include "report/inject.h"
#include "report/where.h"

/*
 * Which buffer: a thread's, its exception handler's, or the emergency's. Each may interrupt the
 * last.
 */
static unsigned int level(void)
{
	if (emergency[cpu_index()].level)
		return 2;
	return on_exception_stack() ? 1 : 0;
}

static struct text *line(void)
{
	return &cpus[cpu_index()]->text[level()];
}

void record_begin(void)
{
	uint64_t flags = irq_save();
	struct cpu *cpu = cpus[cpu_index()];
	unsigned int l = level();

	cpu->masked[l] = flags;
	cpu->text[l] = text_in(cpu->line[l], LINE_MAX_BYTES);
}

static void record_vadd(const char *format, va_list arguments)
{
	text_vformat(line(), format, arguments);
}

void record_add(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	record_vadd(format, arguments);
	va_end(arguments);
}

void record_add_sp(const struct stack *own, uintptr_t sp)
{
	where_sp(line(), own, sp);
}

void record_end(void)
{
	struct text *t = line();

	if (t->cut)
		t->buffer[t->length - 1] = '~'; /* the line was too long, and says so */
	t->buffer[t->length] = '\n';
	console_write(t->buffer, t->length + 1);
	irq_restore(cpus[cpu_index()]->masked[level()]);
}

void report(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	record_begin();
	record_vadd(format, arguments);
	record_end();
	va_end(arguments);
}

void report_stack(const struct stack *s, size_t lowest_sp)
{
	record_begin();
	record_add("[stack] %s used=%lu size=%lu guard=%s", s->name, stack_high_watermark(s),
		   s->size, stack_guard_words_ok(s) ? "ok" : "bad");
	if (lowest_sp)
		record_add(" lowest_sp=%lu", lowest_sp);
	record_end();
}

bool report_stacks_at_end;

static void report_stacks(void)
{
	for (const struct stack *s = stack_next(NULL); s; s = stack_next(s)) {
		size_t used = stack_high_watermark(s);

		if (!s->prepared)
			continue;
		report("[stack] %s used=%lu size=%lu margin=%lu guard=%s", s->name, used, s->size,
		       s->size - used, stack_guard_words_ok(s) ? "ok" : "bad");
	}
}

#define END_MS 200 /* what a CPU has for its end, when another waits for that */

void end_begin(void)
{
	static uint32_t ending; /* by which CPU: its index + 1 */
	uint32_t me = cpu_index() + 1;
	uint32_t first = 0;
	uint64_t since = sysreg_read(cntpct_el0);

	irq_save();
	if (__atomic_compare_exchange_n(&ending, &first, me, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return;
	if (first != me && !protected(PROTECT_ONE_END))
		return;
	while (first != me && counter_ms(since) < END_MS)
		cpu_relax();
	psci_system_off();
}

void end(const char *format, ...)
{
	va_list arguments;

	end_begin();
	console_leave_to_me();
	if (report_stacks_at_end)
		report_stacks();
	inject_report();
	va_start(arguments, format);
	record_begin();
	record_add("[end] ");
	record_vadd(format, arguments);
	record_end();
	va_end(arguments);
	psci_system_off();
}
