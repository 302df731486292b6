/* Cost labs: exceptions, switches and what crosses them. scenarios/test_cost.py is the other half. */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/cpu.h"
#include "base/protect.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/cost/cost.h"
#include "labs/cost/least.h"
#include "labs/lib/routines.h"
#include "proc/ipc.h"
#include "proc/sched.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_IGNORE("kernel/report/exception.c:dispatch", "kernel/report/fault.c:fault", "thread:lab",
	     "it calls exception_entry() itself, with the frame that a yield has left: it yields")
STACK_IGNORE("kernel/report/exception.c:dispatch", "kernel/proc/grow*.c:grow_*", "thread:lab",
	     "it calls exception_entry() itself, with the frame that a yield has left: it yields")
STACK_IGNORE("kernel/report/exception.c:dispatch", "kernel/labs/*.c:overflow_irq*", "thread:lab",
	     "it calls exception_entry() itself, with the frame that a yield has left: it yields")
STACK_IGNORE("kernel/report/exception.c:dispatch",
	     "kernel/labs/grow/grow_copying.c:deep_in_handler", "thread:lab",
	     "it calls exception_entry() itself, with the frame that a yield has left: it yields")
STACK_IGNORE("kernel/proc/sched.c:sched_check", "kernel/report/fault.c:fault_check", "thread:lab",
	     "the same, and a thread whose stack is sound")

LEAST_AT(thread, cpu, THREAD_CPU);
LEAST_AT(thread, state, THREAD_STATE);
LEAST_AT(thread, stack.base, THREAD_STACK_BASE);
LEAST_AT(thread, stack.size, THREAD_STACK_BASE + 8);
LEAST_AT(thread, stack.guard, THREAD_STACK_GUARD);
LEAST_AT(thread, stack.view, THREAD_STACK_VIEW);
LEAST_AT(thread, stack.room, THREAD_STACK_VIEW + 8);
LEAST_AT(thread, next, THREAD_NEXT);
LEAST_AT(cpu, index, CPU_INDEX);
LEAST_AT(cpu, irq_stack_top, CPU_IRQ_STACK_TOP);
LEAST_AT(cpu, idle, CPU_IDLE);
_Static_assert(PROTECT_SENTINEL == OFF_SENTINEL && PROTECT_SP_CHECK == OFF_SP_CHECK, "least.S");
_Static_assert(THREAD_READY == STATE_READY && THREAD_RUNNING == STATE_RUNNING, "least.S");

struct frame *exception_entry(struct frame *f);

#define RET 1 /* of the function that svc stands in, and of least_same */

static uint64_t measure(costed function, void *object)
{
	return cost_of(function, object, 0).instructions;
}

/* The same, with other vectors. */
static uint64_t measure_at(const char *vectors, costed function)
{
	uint64_t kernels = sysreg_read(vbar_el1);
	uint64_t instructions;

	sysreg_write(vbar_el1, vectors);
	isb();
	instructions = measure(function, NULL);
	sysreg_write(vbar_el1, kernels);
	isb();
	return instructions;
}

/*
 * What is C of a yield is called once more by itself, with the frame that the last one left: so what remains
 * is the way from the svc to exception_entry()'s first instruction, and from its ret to the instruction
 * behind the svc. Nobody else is ready.
 */
static void measure_exception(void)
{
	uint64_t kernel, least;

	measure(COSTED(lab_yield), NULL);
	kernel = measure(COSTED(lab_yield), NULL) - RET;
	kernel -= measure(COSTED(exception_entry), &current()->frame);
	least = measure_at(least_vectors_same, COSTED(lab_yield)) - RET - RET;
	cost_job("exception", kernel, least);
}

static void measure_check(void)
{
	struct cost kernel = cost_of(COSTED(sched_check), current(), 0);
	struct cost least = cost_of(COSTED(least_check), current(), 0);

	if (kernel.result || least.result)
		panic("least-is-not-the-job");
	cost_job("tick.check", kernel.instructions, least.instructions);
}

/* Another thread that only gives way: there and back is two switches, its branch, and our ret. */
static uint64_t measure_switch(void)
{
	struct thread *partner = thread_create("partner", lab_partner, NULL, PAGE_SIZE);
	uint64_t kernel, least;

	if (!partner)
		panic("no-partner");
	measure(COSTED(lab_yield), NULL);
	kernel = measure(COSTED(lab_yield), NULL) - 2 * RET;
	least_queue = (struct least_queue){ partner, partner };
	least = measure_at(least_vectors_yield, COSTED(lab_yield)) - 2 * RET;
	if (least_queue.head != partner || least_queue.tail != partner ||
	    current()->state != THREAD_RUNNING)
		panic("least-is-not-the-job");
	cost_job("switch", kernel / 2, least / 2);
	return least / 2;
}

/* A server that answers what it was asked. It waits at its endpoint, and again when it has answered. */
static struct endpoint echo_endpoint = { .name = "echo" };

static void echo(__attribute__((unused)) void *unused)
{
	static struct message m;

	for (;;) {
		ipc_receive(&echo_endpoint, &m);
		ipc_answer(&m);
	}
}

#define IPC_BYTES 64

static uint64_t measure_ipc(void)
{
	static struct message m = { .length = IPC_BYTES };

	if (!thread_create("echo", echo, NULL, PAGE_SIZE))
		panic("no-server");
	while (!echo_endpoint.server)
		thread_yield();
	return cost_of(COSTED(ipc_call_back), &echo_endpoint, (uintptr_t)&m).instructions;
}

/*
 * Two switches; the message there and back, a load and a store of two registers for each 16 bytes; and what
 * is noted: the caller at the endpoint, masked, and that it waits (12); the server woken (8); the caller taken
 * from there and served (11); answered, and woken (11).
 */
static uint64_t least_ipc(uint64_t least_switch)
{
	uint64_t copy = (offsetof(struct message, data) + IPC_BYTES) / 16 * 2;

	return 2 * least_switch + 2 * copy + 12 + 8 + 11 + 11;
}

LAB(cost, switch, "an exception, the tick's check, a switch, beside the least that each takes",
    NO_PARAMS)
{
	uint64_t ipc, least;

	/* No tick in between: where the partner is, interrupts are open. */
	timer_stop();
	cost_start();
	measure_exception();
	measure_check();
	ipc = measure_ipc();
	least = measure_switch();
	cost_job("ipc", ipc, least_ipc(least));
}
