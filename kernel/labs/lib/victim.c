/* See victim.h. */
#include "labs/lib/victim.h"

#include "base/stack_note.h"
#include "labs/lib/leak.h"
#include "mem/page.h"
#include "mem/window.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

#define ROUNDS 2
#define VICTIM_STACK (16 * KiB)

STACK_UNBOUNDED("thread:victim", VICTIM_STACK, "the victims of labs overflow on purpose")
STACK_SIZE("neighbour", VICTIM_STACK, "painted, and run on by nobody")
STACK_CALLS("victim_run_made", "make_plain kernel/labs/grow/grower.c:grower_make",
	    "who makes the thread")
#define PROOF_TICKS 5

/* A thread that has nothing to do with the victim, and must not suffer from it. */
static uint64_t witness_beats;

static void witness(__attribute__((unused)) void *unused)
{
	for (;;) {
		WRITE_ONCE(witness_beats, witness_beats + 1);
		thread_sleep(1);
	}
}

struct census {
	size_t pages, threads;
};

static struct census take_census(void)
{
	return (struct census){ page_count().in_use, thread_pool.in_use };
}

const struct stack *victim_neighbour(void)
{
	static struct stack neighbour = { .name = "neighbour" };

	if (!neighbour.base && !window_stack_alloc(&neighbour, VICTIM_STACK, PAGE_SIZE))
		panic("no-neighbour");
	return &neighbour;
}

struct job {
	void (*function)(void *);
	void *argument;
	size_t stack, guard; /* bytes */
};

static struct thread *make_plain(void *argument)
{
	const struct job *job = argument;

	return thread_create_guarded("victim", job->function, job->argument, job->stack,
				     job->guard);
}

/* One death: the others ran on, and nothing of the victim is left. False if it did not die. */
static bool round_contained(int round, struct thread *(*make)(void *), void *argument,
			    const char **detector)
{
	struct census before = take_census();
	struct thread *t = make(argument);
	struct census after;
	uint64_t beats;

	if (!t)
		panic("no-victim");
	if (thread_join(t, detector) != THREAD_KILLED)
		return false;
	after = take_census();
	beats = READ_ONCE(witness_beats);
	thread_sleep(PROOF_TICKS);
	/* On a busy host some ticks may pass without it: what counts is that it runs at all. */
	for (int n = 0; n < PATIENCE_TICKS && READ_ONCE(witness_beats) == beats; n++)
		thread_sleep(1);
	report("[lab] contained round=%d witness=%s pages=%s threads=%s", round,
	       READ_ONCE(witness_beats) > beats ? "ran" : "stuck",
	       after.pages == before.pages ? "back" : "lost",
	       after.threads == before.threads ? "back" : "lost");
	leak_check(after.pages != before.pages, "pages");
	leak_check(after.threads != before.threads, "threads");
	if (READ_ONCE(witness_beats) == beats)
		panic("witness-stuck");
	return true;
}

void victim_run_made(struct thread *(*make)(void *), void *argument)
{
	const char *detector = NULL;

	if (on_fault_kill && !thread_create("witness", witness, NULL, PAGE_SIZE))
		panic("no-witness");
	/* Directly below the victim, so that whatever gets past its guard hurts nobody else. */
	victim_neighbour();
	for (int round = 1; round <= ROUNDS; round++)
		if (!round_contained(round, make, argument, &detector))
			return;
	end("contained by=%s", detector);
}

void(victim_run)(void (*function)(void *), void *argument, size_t stack)
{
	struct job job = { function, argument, ALIGN_DOWN(stack, PAGE_SIZE), PAGE_SIZE };

	victim_run_made(make_plain, &job);
	end("survived");
}

void(victim_run_guarded)(void (*function)(void *), void *argument, size_t guard)
{
	const struct stack *neighbour = victim_neighbour();
	struct job job = { function, argument, VICTIM_STACK, guard };

	victim_run_made(make_plain, &job);
	report("[stack-lab] neighbour written=%s", stack_high_watermark(neighbour) ? "yes" : "no");
	end("survived");
}
