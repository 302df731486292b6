/*
 * The lab that the boot line has chosen (boot_line.h): the three ways it is let go, at once, by a line on the
 * serial port, by GDB. Or the catalogue of all.
 */
#include "lab/lab.h"

#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/cmdline.h"
#include "base/protect.h"
#include "base/string.h"
#include "lab/boot_line.h"
#include "lab/param.h"
#include "report/console.h"
#include "report/inject.h"
#include "report/report.h"
#include "report/upcall.h"

LINKER_SYMBOL(vectors_classic);

/* With hold=gdb the kernel waits until a debugger clears this. */
volatile uint32_t lab_hold;

void lab_takes(uint64_t ms)
{
	if (protected(PROTECT_WATCHDOG))
		watchdog_arm(boot_line_watchdog_ms() + ms);
}

static void list_param(const struct lab *lab, const struct param *p)
{
	uint64_t from = p->min;

	record_begin();
	record_add("[list] param %s %s default=%lu min=%lu max=%lu", lab->name, p->key, p->initial,
		   p->min, p->max);
	if (p->name)
		record_add(" names=%s", param_names(p, &from));
	record_add(" : %s", p->help);
	record_end();
	while (p->name && param_has_more(p, from))
		report("[list] names %s %s names=%s", lab->name, p->key, param_names(p, &from));
}

static void list(void)
{
	for (const struct lab *const *l = __labs_start; l < __labs_end; l++) {
		report("[list] lab %s : %s", (*l)->name, (*l)->sentence);
		for (size_t i = 0; i < (*l)->param_count; i++)
			list_param(*l, &(*l)->params[i]);
	}
	for (int i = 0; i < NR_PROTECTIONS; i++)
		report("[list] protect %s : %s", protect_name(i), protect_help(i));
	inject_list();
	end("ok");
}

/* Wait for `go [key=value …]`. Anything else is answered and waited past: a person may be typing. */
static void wait_for_serial(void)
{
	char text[CMDLINE_MAX_BYTES];

	for (;;) {
		if (!console_read_line(text, sizeof(text))) {
			report("[lab] what : the line is too long");
			continue;
		}
		if (strncmp(text, "go", 2) == 0 && (text[2] == '\0' || text[2] == ' '))
			break;
		report("[lab] what : type go [key=value ...]");
	}
	boot_line_go(text + 2);
}

static void wait_for_gdb(void)
{
	lab_hold = 1;
	while (lab_hold)
		wfi();
}

static void wait_for_go(void)
{
	report("[lab] holding for=%s : %s", hold_names[boot_line.hold],
	       boot_line.hold == HOLD_SERIAL ? "type go [key=value ...]" : "set var lab_hold = 0");
	if (boot_line.hold == HOLD_GDB) {
		wait_for_gdb();
		return;
	}
	timer_stop();
	wait_for_serial();
	timer_start();
}

bool lab_is_for_boot_stack(void)
{
	return boot_line.lab && boot_line.lab->on_boot_stack;
}

bool lab_is_light(void)
{
	return boot_line.lab && boot_line.lab->light;
}

void lab_main(__attribute__((unused)) void *unused)
{
	if (boot_line.list)
		list();
	if (boot_line.hold != HOLD_NONE)
		wait_for_go();
	/* Right behind a tick: what came before, and how long it took, moves no interrupt of the lab's. */
	if (!boot_line.lab->on_boot_stack)
		sched_align();
	/* Not before: idle, which is C, would not outlive its first tick. */
	if (!protected(PROTECT_ENTRY))
		sysreg_write(vbar_el1, vectors_classic);
	lab_takes(0);
	boot_line.lab->entry();
	end("ok");
}
