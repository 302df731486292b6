/*
 * What vectors.S calls: tells ticks and yields from faults, and returns the frame to resume.
 * Runs on the CPU's exception stack (or, for emergency_exception, on its emergency stack).
 */
#include "arch/esr.h"
#include "arch/frame.h"
#include "arch/gic.h"
#include "arch/timer.h"
#include "arch/user.h"
#include "arch/virt.h"
#include "arch/watch.h"
#include "base/cpu.h"
#include "base/protect.h"
#include "report/fault.h"
#include "report/report.h"
#include "report/upcall.h"

#define GIC_NONE 1020 /* this INTID and those after it: nothing to acknowledge */

struct frame *exception_entry(struct frame *f);
__attribute__((noreturn)) void emergency_exception(struct frame *f);

void (*tick_hook)(void);

static struct frame *interrupt(struct frame *f)
{
	unsigned int intid = gic_acknowledge();

	if (intid >= GIC_NONE)
		return f;
	if (intid == INTID_TIMER_PHYSICAL) {
		cpu_local()->ticks += timer_next();
		if (tick_hook)
			tick_hook();
		f = sched_tick();
	}
	gic_end(intid);
	return f;
}

static bool is_call(const struct frame *f)
{
	return f->kind == KIND_SYNC && esr_class(f->esr) == EC_SVC64;
}

static struct frame *supervisor_call(struct frame *f)
{
	unsigned int what = esr_immediate(f->esr);

	if (frame_is_user(f))
		return user_system_call(f);
	if (what == SVC_YIELD)
		return sched_switch();
	return what == SVC_ENTER_USER || what == SVC_RETURN ? user_resume(f, what) : grow_call(f);
}

static bool is_watched(const struct frame *f)
{
	return watch_hook && f->kind == KIND_SYNC && esr_class(f->esr) == EC_WATCH_SAME;
}

static struct frame *watched(struct frame *f)
{
	watch_disarm();
	watch_hook();
	return f;
}

static struct frame *dispatch(struct frame *f)
{
	struct frame *grown;

	if (f->kind == KIND_IRQ)
		return interrupt(f);
	if (is_call(f))
		return supervisor_call(f);
	grown = f->kind == KIND_SYNC && !frame_is_user(f) ? grow_fault(f) : NULL;
	if (grown)
		return grown;
	return is_watched(f) ? watched(f) : fault(f);
}

bool user_tables_on;

/* No process's addresses in the kernel's hands: neither in a handler nor in a system call. */
static void leave_user(void)
{
	if (protected(PROTECT_PAN))
		user_table_set(0);
}

static void enter_user(const struct frame *f)
{
	const struct thread *t = CONTAINER_OF(f, struct thread, frame);

	user_table_set(frame_is_user(f) || !protected(PROTECT_PAN) ? t->ttbr0 : 0);
}

struct frame *exception_entry(struct frame *f)
{
	if (!user_tables_on)
		return dispatch(f);
	leave_user();
	f = dispatch(f);
	enter_user(f);
	return f;
}

void emergency_exception(struct frame *f)
{
	/* protect=-grow-handler: as if the thread's own prologue had asked. */
	if (!protected(PROTECT_GROW_HANDLER) && is_call(f))
		grow_call(f);
	fault_emergency(f);
}

/* The compiler's own call, when a function finds its canary changed. */
__attribute__((noreturn)) void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
	fault_trap(BRK_CANARY);
	panic("canary-resumed");
}
