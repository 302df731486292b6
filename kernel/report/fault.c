/* Report and verdict; classify.c says what it means. Read from the bottom up. */
#include "report/fault.h"

#include "arch/esr.h"
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "arch/user.h"
#include "base/cpu.h"
#include "base/site.h"
#include "report/backtrace.h"
#include "report/classify.h"
#include "report/console.h"
#include "report/report.h"
#include "report/turn.h"
#include "report/upcall.h"

#define SPSR_SP_EL1 0x1

bool on_fault_kill;
bool (*fault_expected_hook)(const struct finding *n);
void (*fault_report_hook)(void);

static const char *const kind_names[] = {
	[KIND_SYNC] = "sync",
	[KIND_IRQ] = "irq",
	[KIND_FIQ] = "fiq",
	[KIND_SERROR] = "serror",
};

static const char *operation(uint64_t esr)
{
	if (esr_is_instruction_abort(esr))
		return "exec";
	return esr_is_write(esr) ? "write" : "read";
}

static void add_prose(uint64_t esr)
{
	const char *class = esr_class_name(esr);
	const char *status = esr_status_name(esr);

	record_add(" : %s", class ? class : "reserved exception class");
	if (status)
		record_add("; %s", status);
}

static void report_exception(const struct finding *n, const char *word)
{
	const struct frame *f = n->frame;
	bool sync = f->kind == KIND_SYNC && word == kind_names[KIND_SYNC];
	const char *site = fault_site(f->elr);

	record_begin();
	record_add("[EXC] %s", word);
	if (sync) {
		record_add(" ec=0x%02x", esr_class(f->esr));
		if (esr_is_data_abort(f->esr) || esr_is_instruction_abort(f->esr))
			record_add(" fsc=0x%02x op=%s", esr_status(f->esr), operation(f->esr));
		if (esr_far_valid(f->esr))
			record_add(" far=%pA", (void *)f->far);
	}
	record_add(" elr=%pS", (void *)f->elr);
	if (site)
		record_add(" site=%s", site);
	record_add(" sp=");
	record_add_sp(n->own, f->sp);
	record_add(" mode=EL%lu%c cpu=%u thread=%s", (f->spsr & SPSR_EL_MASK) >> 2,
		   f->spsr & SPSR_SP_EL1 ? 'h' : 't', cpu_local()->index, current()->name);
	if (sync) {
		if (esr_far_valid(f->esr))
			record_add(" raw=0x%lx", f->far);
		add_prose(f->esr);
	}
	record_end();
}

/* Which of them, the lowest first: broken=0,3. */
static void add_guard_words(const struct stack *s)
{
	const uint64_t *word = stack_word(s, s->base);
	const char *between = " broken=";

	for (int i = 0; i < GUARD_WORDS; i++) {
		if (word[i] == stack_marks.guard_words[i])
			continue;
		record_add("%s%d", between, i);
		between = ",";
	}
}

static void report_class(const struct finding *n)
{
	record_begin();
	record_add("[EXC] %s", fault_classes[n->class].name);
	if (n->stack)
		record_add(" stack=%s", n->stack->name);
	if (n->class == CLASS_SENTINEL && n->stack)
		add_guard_words(n->stack);
	if (n->guard)
		record_add(" guard=%s beyond=%lu by=%s", n->guard, n->beyond,
			   n->by_sp ? "sp" : "pointer");
	if (n->freed_by)
		record_add(" freed_by=%pR", (void *)n->freed_by);
	record_add(" : %s", fault_classes[n->class].prose);
	record_end();
}

static void report_finding(const struct finding *n, const char *word)
{
	const struct frame *f = n->frame;
	bool sp_known = f->sp <= stack_top(n->own) && f->sp >= n->own->base - n->own->guard;

	report_exception(n, word);
	report_class(n);
	if (fault_report_hook)
		fault_report_hook();
	backtrace(f);
	report_stack(n->own, sp_known ? stack_top(n->own) - f->sp : 0);
	/* So that a debugger's walk can go on at EL0. */
	if (user_tables_on)
		user_table_set(current()->ttbr0);
	debugger_fault_hook(f);
}

/* At EL0 always; on SP_EL0 at EL1 if asked for, and of a thread that the system can do without. */
static bool can_kill(const struct frame *f)
{
	return frame_is_user(f) ||
	       (on_fault_kill && !(f->spsr & SPSR_SP_EL1) && current()->killable);
}

/* Stacks that no thread can be killed for: a handler's, the boot context's, the idle thread's. */
static void refuse_kill(const struct finding *n)
{
	if (on_fault_kill)
		report("[EXC] unkillable stack=%s : only a thread of its own can be killed",
		       n->own->name);
}

bool lab_entered;

/* What is caught is what a lab does. Before it there is nothing to catch: the boot itself is broken. */
static void refuse_before_lab(const struct finding *n)
{
	if (!lab_entered)
		end("panic why=fault-before-lab detector=%s", n->detector);
}

__attribute__((noreturn)) static void halt(const struct finding *n)
{
	turn_pass(true);
	if (n->class == CLASS_BUG)
		panic("assertion");
	refuse_kill(n);
	end("caught by=%s", n->detector);
}

static struct frame *halt_or_kill(const struct finding *n)
{
	refuse_before_lab(n);
	if (n->class == CLASS_BUG || !can_kill(n->frame))
		halt(n);
	report("[EXC] killed thread=%s by=%s", current()->name, n->detector);
	turn_pass(false);
	cpu_local()->reporting_fault = false;
	timer_resume(&cpu_local()->pause);
	/* A thread that had stopped the tick for itself does not take it along. */
	if (!timer_ticks())
		timer_start();
	return sched_kill(n->detector);
}

__attribute__((noinline)) void debugger_fault_hook(const struct frame *f)
{
	__asm__ volatile("" ::"r"(f) : "memory");
}

/*
 * Time stands still while a fault is reported. Under icount QEMU 7.2 lets guest time jump to the next
 * deadline whenever a debugger stops the machine, and does not come back from a debugger's step with a
 * masked interrupt pending: so there must be no deadline.
 */
static void stop_the_world(void)
{
	timer_pause(&cpu_local()->pause);
	console_break_lock();
}

/* What two CPUs push on one stack is worth no report: say that, and no more. */
static void expect_own_stack(uintptr_t sp)
{
	const struct cpu *here = cpu_local();

	for (unsigned int i = 0; i < NR_CPUS; i++)
		if (cpus[i] && cpus[i] != here && stack_contains(&cpus[i]->irq_stack, sp))
			end("panic why=shared-irq-stack cpu=%u owner=%u : an exception stack has two CPUs",
			    here->index, i);
}

static struct frame *handle(struct finding *n, const char *word)
{
	expect_own_stack(stack_pointer);
	if (fault_expected_hook && fault_expected_hook(n))
		return sched_kill(n->detector);
	cpu_local()->reporting_fault = true;
	turn_await();
	stop_the_world();
	turn_report_absent();
	report_finding(n, word);
	return halt_or_kill(n);
}

struct frame *fault_check(struct frame *f, enum fault_class class, const char *detector)
{
	struct finding n;

	classify_check(&n, f, class, detector);
	return handle(&n, "check");
}

struct frame *fault_as(struct frame *f, enum fault_class class)
{
	struct finding n;

	classify_as(&n, f, class);
	return handle(&n, kind_names[f->kind]);
}

struct frame *fault(struct frame *f)
{
	struct finding n;

	classify_exception(&n, f);
	return handle(&n, kind_names[f->kind]);
}

void fault_hang(const char *detector)
{
	struct watchdog_time time = watchdog_time();

	report("[EXC] watchdog after=%lu paused=%lu : guest ms", time.after, time.paused);
	end("hang by=%s", detector);
}

void fault_emergency(struct frame *f)
{
	bool in_report = cpu_local()->reporting_fault;
	struct finding n;

	stop_the_world();
	classify_exception(&n, f);
	report_finding(&n, kind_names[f->kind]);
	if (n.class == CLASS_HANG)
		fault_hang(n.detector);
	refuse_before_lab(&n);
	refuse_kill(&n);
	if (in_report)
		end("double-fault by=%s", n.detector);
	end("caught by=%s", n.detector);
}
