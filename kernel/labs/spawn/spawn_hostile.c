/*
 * Spawn labs: a program that asks for what it should not get (user/hostile.c). Each call with each argument at
 * its bounds and past them; and thousands at random. The kernel refuses by name, and has everything back.
 */
#include "base/protect.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/operation.h"
#include "labs/lib/system.h"
#include "proc/spawn.h"
#include "proc/syscall.h"
#include "report/report.h"

STACK_CALLS("kernel/proc/syscall.c:sys_dive", "forge",
	    "syscall_dive_hook: spawn.hostile and spawn.fuzz set it")

/* user/hostile.c */
enum { GATE_ECHOES, GATE_LIES };
enum { FORGE_CHILD, FORGE_LAST_REGION };
#define OTHERS_CODE 77
#define DONE 42
#define HELLO_WAITS 0x100 /* user/hello.c: at the gate, instead of a hello */

#define GATE_STACK (4 * KiB)
#define REAP_TICKS 100
#define PAGES_LEFT 2

/* What a message's sender cannot be trusted with comes back in the answer: length and sender, as taken. */
static void gate_server(__attribute__((unused)) void *unused)
{
	static struct message m;

	for (;;) {
		ipc_receive(&gate_endpoint, &m);
		m.words[0] = m.length;
		m.words[1] = m.sender == current()->serving->process->pid;
		m.status = 0;
		if (m.kind == GATE_LIES)
			m.length = UINT32_MAX;
		ipc_answer(&m);
	}
}

static uint32_t others_child;

/* A state that no sequence of calls leads to, or none that is short enough. */
static int64_t forge(uint64_t what)
{
	struct process *p = current()->process;

	if (what == FORGE_CHILD)
		return process_add_handle(p, (struct handle){ .kind = HANDLE_PROCESS,
							      .pid = others_child });
	if (what != FORGE_LAST_REGION)
		return ERROR_NUMBER;
	p->regions_end = USER_REGIONS + (p->pid + 1) * USER_REGION_SPAN - PAGES_LEFT * PAGE_SIZE;
	return 0;
}

static void start(size_t stack)
{
	syscall_dive_hook = forge;
	system_start(stack);
	if (!thread_create("gate", gate_server, NULL, GATE_STACK))
		panic("no-gate");
	while (!gate_endpoint.server)
		thread_yield();
}

/* Children that nobody waited for go when init has heard of it. */
static void await_orphans(size_t left)
{
	for (int i = 0; i < REAP_TICKS && process_count() > left; i++)
		thread_sleep(1);
}

LAB(spawn, hostile,
    "a program makes each system call with each argument at its bounds and past them",
    SYSTEM_STACK_PARAM)
{
	struct system_count before;
	int64_t code;

	start(a->stack);
	before = system_counts();
	others_child = (uint32_t)system_launch("hello", OTHERS_CODE);
	code = system_run("hostile", 0, NULL);
	report("[spawn] exited program=hostile code=%ld", code);
	if (code != DONE)
		end("survived");
	if (process_wait(others_child, NULL) != OTHERS_CODE)
		panic("anothers-child-is-gone");
	await_orphans(before.processes);
	system_expect_census(&before);
	system_report_stacks();
	end("caught by=system-call");
}

#define CALLS_A_MS 4 /* a spawn is the dearest, and what is in the way of it is waited for */

#define FUZZ_PARAMS(P)                                                                             \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(seed, 1, 1, 1000000, "of the first program's calls; the next one's is one more")         \
	P(calls, 100, 1, 2000, "that each program makes")                                          \
	P(programs, 4, 1, 64, "one after the other")

LAB(spawn, fuzz, "programs that make system calls at random; all come back", FUZZ_PARAMS)
{
	struct system_count before;
	struct census census;

	lab_takes(a->calls * a->programs / CALLS_A_MS);
	start(a->stack);
	before = system_counts();
	operations_prepare();
	census = take_census();
	for (uint64_t i = 0; i < a->programs; i++) {
		int64_t code = system_run("hostile", a->calls << 32 | (a->seed + i), NULL);

		report("[spawn] fuzzed seed=%lu calls=%ld", a->seed + i, code);
		if (code != (int64_t)a->calls)
			end("survived");
		await_orphans(before.processes);
		system_expect_census(&before);
	}
	census_expect(&census);
	if (system_run("hello", HELLO_WAITS, NULL))
		panic("hello-broken");
	system_report_stacks();
}
