/*
 * boot.light: the light environment alone, on 1 KiB: what it gives, and what its faults come to;
 * and boot.light_two: two CPUs fault in it at one moment, and there is one stack for that.
 */
#include "arch/psci.h"
#include "base/protect.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/boot/boot_crew.h"
#include "labs/lib/illegal.h"
#include "light/light.h"
#include "proc/smp.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

STACK_CALLS("kernel/light/light.c:light_fault", "wait_in_light_report",
	    "fault_report_hook: in the light environment only boot.light_two sets it")
STACK_ENTRY("boot-stack:cpu*", "light_enter", "stay_light fault_second", 1 * KiB,
	    "likewise: boot.light")
STACK_CALLS("kernel/light/enter.S:light_enter", "stay_light fault_second", "light_entry.main")

enum act { ACT_NONE, ACT_NULL, ACT_UNDEFINED, ACT_OVERFLOW, ACT_HANG };

static uint64_t act;

static void fault_light(const struct cpu *cpu)
{
	if (act == ACT_NULL)
		write_null();
	if (act == ACT_UNDEFINED)
		FAULT_SITE(light_undefined, "mrs xzr, s3_7_c15_c15_7", "r"(0));
	if (act == ACT_OVERFLOW)
		crew_overflow_boot_stack(cpu);
	while (act == ACT_HANG)
		__asm__ volatile(""); /* or a compiler may leave the loop out */
}

/* Three pages, then more than there are. */
static void take_memory(void)
{
	struct light_line line;
	size_t before = light_pages_left();
	uintptr_t one = light_pages(PAGE_SIZE);
	uintptr_t two = light_pages(2 * PAGE_SIZE);
	size_t after = light_pages_left();

	light_begin(&line, "[boot-lab] bump took");
	light_number(&line, "bytes", before - after);
	light_number(&line, "apart", two - one);
	light_number(&line, "too-many", light_pages(after + PAGE_SIZE));
	light_number(&line, "lost", after - light_pages_left());
	light_say(&line);
}

static void say_act(void)
{
	static const char *const names[] = { "none", "null", "undefined", "overflow", "hang" };
	struct light_line line;

	light_begin(&line, "[boot-lab] now ");
	light_text(&line, names[act]);
	light_say(&line);
}

/* The whole of it, on 1 KiB: no records, no threads, no stack but this. */
static void stay_light(struct thread *t)
{
	const struct cpu *cpu = t->cpu;

	crew_guard_boot_stack(cpu);
	take_memory();
	if (act)
		say_act();
	fault_light(cpu);
	if (stack_guard_words_ok(&cpu->boot_stack))
		light_end(act ? "survived" : "ok");
	light_end(protected(PROTECT_SENTINEL) ? "caught by=sentinel" : "survived");
}

#define LIGHT_PARAMS(P)                                                                            \
	P(act, 0, 0, 4, "1 null write, 2 undefined, 3 overflow, 4 hang")                           \
	CREW_PAST_PARAM(P)

LAB_LIGHT(boot, light, "plain lines, bump memory and vectors that only name, on 1 KiB",
	  LIGHT_PARAMS)
{
	act = a->act;
	crew = (struct crew){
		.boot_stack = BOOT_STACK_RESERVED,
		.stack = THREAD_STACK_DEFAULT,
		.past = a->past,
		.begin = stay_light,
	};
	crew_boot();
}

/* --- two CPUs --------------------------------------------------------------------------------- */

#define PATIENCE 2000 /* times that a CPU lets the other run */

static uint64_t keep;
static uint32_t in_report;

/* fault_report_hook, on the stack that all faults share: does another CPU come here, too? */
static void wait_in_light_report(void)
{
	if (__atomic_add_fetch(&in_report, 1, __ATOMIC_ACQ_REL) == 2)
		light_end("survived");
	if (!keep)
		__atomic_store_n(&light_fault_taken, 0, __ATOMIC_RELEASE);
	for (int n = 0; n < PATIENCE; n++)
		cpu_relax();
}

/* CPU 1 faults when CPU 0 is amid its report. */
static void fault_second(struct thread *t)
{
	if (!t->cpu->index)
		psci_cpu_on(members[1].id, light_start, members[1].cpu->first);
	while (t->cpu->index && !__atomic_load_n(&in_report, __ATOMIC_ACQUIRE))
		cpu_relax();
	write_null();
	light_end("survived");
}

#define LIGHT_TWO_PARAMS(P)                                                                        \
	P(keep, 1, 0, 1, "0: the first does not keep the stack that all faults share")

LAB_LIGHT(boot, light_two, "two CPUs fault on 1 KiB each, and the first keeps the one fault stack",
	  LIGHT_TWO_PARAMS)
{
	if (smp_cpus < 2)
		end("bad-args why=no-cpu : CPU 1 is not there; boot with -smp 2 or more");
	keep = a->keep;
	fault_report_hook = wait_in_light_report;
	crew = (struct crew){
		.boot_stack = BOOT_STACK_RESERVED,
		.stack = THREAD_STACK_DEFAULT,
		.begin = fault_second,
	};
	crew_boot();
}
