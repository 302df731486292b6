/*
 * Stack labs: who overflows. A thread, the idle thread, the boot context, an interrupt handler, the
 * fault report itself. How, with what SP, and what notices is in stack_*.c.
 */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/cpu.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/array.h"
#include "labs/lib/illegal.h"
#include "labs/lib/recurse.h"
#include "labs/lib/victim.h"
#include "proc/sched.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

STACK_CALLS("kernel/proc/sched.c:idle", "overflow_idle_stack", "idle_hook: only stack.idle sets it")
STACK_CALLS("kernel/report/exception.c:dispatch", "overflow_irq_stack",
	    "tick_hook: stack.irq sets it")
STACK_CALLS("kernel/report/fault.c:report_finding", "fault_in_report overflow_in_report",
	    "fault_report_hook: stack.emergency and stack.emergency_overflow set it")
STACK_IGNORE("kernel/proc/sched.c:idle", "overflow_idle_stack", "thread:idle",
	     "stack.idle overflows that stack on purpose")
STACK_IGNORE("kernel/report/exception.c:dispatch", "overflow_irq_stack", "irq:cpu*",
	     "stack.irq overflows that stack on purpose")
STACK_IGNORE("kernel/report/fault.c:report_finding", "overflow_in_report",
	     "irq:cpu* emergency:cpu*", "stack.emergency_overflow overflows that stack on purpose")
STACK_MARK("stack/boot.log", "boot:cpu0", "stack.boot overflows that stack on purpose")
STACK_MARK("stack/irq.log", "irq:cpu0", "stack.irq overflows that stack on purpose")
STACK_MARK("stack/idle.log", "thread:idle", "stack.idle overflows that stack on purpose")

#define STACK_PARAM(P) P(stack, 16 * KiB, 4 * KiB, 64 * KiB, "bytes of the victim's stack")
#define PAST_PARAM(P)                                                                              \
	P(past, 2 * KiB, 256, 3 * KiB, "bytes below it where the recursion would turn back")
#define RECURSE_PARAMS(P) STACK_PARAM(P) PAST_PARAM(P)

/* A legal store first, at the very edge, then the illegal one a byte further. One copy: it has a site. */
__attribute__((noinline)) static void touch(volatile uint8_t *legal, volatile uint8_t *illegal)
{
	*legal = 1;
	report("[stack-lab] writing guard page at=%pA", (void *)illegal);
	FAULT_SITE(guard_touch, "strb %w0, [%1]", "r"(0), "r"(illegal));
	report("[stack-lab] wrote it");
}

/* The legal byte is above the guard words, which no code may write. */
static void touch_below(__attribute__((unused)) void *unused)
{
	uint8_t *base = (uint8_t *)current()->stack.base;

	touch(base + GUARD_WORDS_BYTES, base - 1);
}

LAB(stack, guard_touch, "a pointer writes one byte below a thread's stack", STACK_PARAM)
{
	victim_run(touch_below, NULL, a->stack);
}

/* The top of the stack is in use: read its highest byte and write it back. */
static void touch_above(__attribute__((unused)) void *unused)
{
	volatile uint8_t *top = (volatile uint8_t *)stack_top(&current()->stack);
	uint8_t edge = top[-1];

	touch(top - 1, top);
	top[-1] = edge;
}

LAB(stack, guard_touch_top, "a pointer writes one byte above a thread's stack", STACK_PARAM)
{
	victim_run(touch_above, NULL, a->stack);
}

/* always_inline: so the call below is one by name, and no function of its own calls just anything. */
__attribute__((always_inline)) static inline void go_down(uint64_t (*down)(uintptr_t),
							  const struct stack *s, uintptr_t past)
{
	uintptr_t floor = s->base - past;

	report("[stack-lab] recursing until=%pA", (void *)floor);
	down(floor);
	report("[stack-lab] came back");
}

struct recursion {
	uint64_t past, tick;
};

static void recurse_victim(void *argument)
{
	const struct recursion *r = argument;

	if (r->tick)
		timer_fire_in(r->tick);
	go_down(recurse, &current()->stack, r->past);
}

#define TICK_PARAM(P)                                                                              \
	P(tick, 0, 0, 4096, "counts of the timer until an interrupt; 0: when it comes")
#define RECURSE_TICK_PARAMS(P) RECURSE_PARAMS(P) TICK_PARAM(P)

LAB(stack, recurse, "overflow a thread's stack by recursion", RECURSE_TICK_PARAMS)
{
	struct recursion r = { a->past, a->tick };

	victim_run(recurse_victim, &r, a->stack);
}

static void recurse_pages_victim(void *past)
{
	go_down(recurse_pages, &current()->stack, (uintptr_t)past);
}

LAB(stack, recurse_pages, "overflow by recursion with frames of more than 4 KiB", RECURSE_PARAMS)
{
	victim_run(recurse_pages_victim, (void *)a->past, a->stack);
}

static void pointers_victim(void *past)
{
	go_down(recurse_through_pointer, &current()->stack, (uintptr_t)past);
}

LAB(stack, pointers, "overflow by recursion through a function pointer", RECURSE_PARAMS)
{
	victim_run(pointers_victim, (void *)a->past, a->stack);
}

/*
 * Near the bottom every call writes a line, from a little lower each time: the overflow comes in the
 * deepest place of the console's own code, with a line in the making.
 */
#define PRINTING_BELOW (1 * KiB)

__attribute__((noinline)) static uint64_t recurse_printing(uintptr_t floor)
{
	volatile uint64_t fill[2];
	uintptr_t here = stack_pointer;

	keep_array(fill);
	fill[0] = here;
	fill[1] = here;
	if (here < current()->stack.base + PRINTING_BELOW)
		report("[stack-lab] printing");
	return here > floor ? recurse_printing(floor) + fill[0] : fill[1];
}

static void printing_victim(void *past)
{
	go_down(recurse_printing, &current()->stack, (uintptr_t)past);
}

LAB(stack, printing, "overflow inside console output", RECURSE_PARAMS)
{
	victim_run(printing_victim, (void *)a->past, a->stack);
}

/* The idle thread and the handler have no argument of their own. */
static uint64_t lab_past;

static bool idle_came_back;

/* A tick may take the CPU from it in mid-descent: only its end says that it did no harm. */
static void overflow_idle_stack(void)
{
	idle_hook = NULL;
	go_down(recurse, &current()->stack, lab_past);
	WRITE_ONCE(idle_came_back, true);
}

LAB(stack, idle, "overflow the idle thread's stack by recursion", PAST_PARAM)
{
	lab_past = a->past;
	idle_hook = overflow_idle_stack;
	thread_sleep(3);
	/* Ticks may pass without it, on a busy host. */
	for (int n = 0; n < PATIENCE_TICKS && !READ_ONCE(idle_came_back); n++)
		thread_sleep(1);
	end("survived");
}

LAB_ON_BOOT_STACK(stack, boot, "overflow the boot stack before there are threads", PAST_PARAM)
{
	go_down(recurse, &current()->stack, a->past);
	end("survived");
}

/* In an interrupt handler: on the exception stack, below the interrupted thread. */
static void overflow_irq_stack(void)
{
	tick_hook = NULL;
	go_down(recurse, &cpu_local()->irq_stack, lab_past);
	end("survived");
}

LAB(stack, irq, "overflow the exception stack by recursion in an interrupt handler", PAST_PARAM)
{
	lab_past = a->past;
	tick_hook = overflow_irq_stack;
	thread_sleep(2);
}

/* Faults inside the fault report, one inside the other. */
static uint64_t faults_left;

static void fault_in_report(void)
{
	if (!faults_left--)
		fault_report_hook = NULL;
	else
		write_null();
}

#define EMERGENCY_PARAMS(P)                                                                        \
	P(faults, 1, 1, 2, "faults inside the fault report, one inside the other")

LAB(stack, emergency, "fault while a fault is being reported", EMERGENCY_PARAMS)
{
	faults_left = a->faults;
	fault_report_hook = fault_in_report;
	write_null();
}

/* The first report faults; the report of that, on the emergency stack, overflows it. */
static void overflow_in_report(void)
{
	if (faults_left--)
		write_null();
	go_down(recurse, &cpu_local()->emergency_stack, lab_past);
	end("survived");
}

LAB(stack, emergency_overflow, "overflow the emergency stack", PAST_PARAM)
{
	lab_past = a->past;
	faults_left = 1;
	fault_report_hook = overflow_in_report;
	write_null();
}
