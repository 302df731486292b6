/*
 * Stack labs: the software detectors. Guard words, canaries, erasure: each written to without touching a
 * guard page, so that only software can notice.
 */
#include "arch/sysreg.h"
#include "base/cpu.h"
#include "base/protect.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/victim.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

STACK_CALLS("smash_victim", "smash_with*_canary", "the same function with and without a canary")
STACK_CALLS("kernel/report/fault.c:report_finding", "report_latency",
	    "fault_report_hook: stack.sentinel_* set it")
STACK_MARK("stack/sentinel_*", "thread:victim",
	   "overwrite_guard_word writes the lowest word of the stack through a pointer")

#define VICTIM_STACK (16 * KiB)

/* How long it took from the damage to the report. */
static uint64_t damaged_at;

static void report_latency(void)
{
	report("[stack-lab] latency ticks=%lu", cpu_local()->ticks - damaged_at);
}

/* A creeping overflow meets the highest word first, a stray store any one of them. */
static void overwrite_guard_word(void *word)
{
	volatile uint64_t *at = (uint64_t *)current()->stack.base + (uintptr_t)word;

	damaged_at = cpu_local()->ticks;
	fault_report_hook = report_latency;
	report("[stack-lab] overwriting guard word at=%pA", (void *)at);
	*at = 0;
}

#define SENTINEL_PARAMS(P)                                                                         \
	P(word, 0, 0, GUARD_WORDS - 1, "which guard word is overwritten; 0: the lowest")

/* Never gives way: only a tick can find it. WFI, so that the tick always comes at the same place. */
static void sentinel_tick_victim(void *word)
{
	overwrite_guard_word(word);
	while (READ_ONCE(cpu_local()->ticks) < damaged_at + 3)
		wfi();
	report("[stack-lab] came back");
}

LAB(stack, sentinel_tick, "guard words overwritten, found at the tick", SENTINEL_PARAMS)
{
	victim_run(sentinel_tick_victim, (void *)a->word, VICTIM_STACK);
}

/* No tick can come: the switch must find it. */
static void sentinel_switch_victim(void *word)
{
	irq_save();
	overwrite_guard_word(word);
	thread_yield();
	report("[stack-lab] came back");
}

LAB(stack, sentinel_switch, "guard words overwritten, found at the switch", SENTINEL_PARAMS)
{
	victim_run(sentinel_switch_victim, (void *)a->word, VICTIM_STACK);
}

static void sentinel_exit_victim(void *word)
{
	irq_save();
	overwrite_guard_word(word);
}

LAB(stack, sentinel_exit, "guard words overwritten, found at the thread's exit", SENTINEL_PARAMS)
{
	victim_run(sentinel_exit_victim, (void *)a->word, VICTIM_STACK);
}

#define ARRAY_BYTES 32

__attribute__((noinline)) static void fill_array(volatile uint8_t *array, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		array[i] = 'A';
}

/* The same function twice: with the compiler's canary behind the array, and without. */
__attribute__((noinline)) static void smash_with_canary(size_t bytes)
{
	uint8_t array[ARRAY_BYTES];

	fill_array(array, bytes);
}

__attribute__((noinline, no_stack_protector)) static void smash_without_canary(size_t bytes)
{
	uint8_t array[ARRAY_BYTES];

	fill_array(array, bytes);
}

static void smash_victim(void *bytes)
{
	void (*smash)(size_t) =
		protected(PROTECT_CANARY) ? smash_with_canary : smash_without_canary;

	smash(ARRAY_BYTES);
	report("[stack-lab] smashing array=%d bytes=%lu", ARRAY_BYTES, (size_t)bytes);
	smash((size_t)bytes);
	report("[stack-lab] smashed it");
}

/* At most the canary and the caller's saved x29 are hit: its return address stays, so that it comes back. */
#define CANARY_PARAMS(P)                                                                           \
	P(bytes, ARRAY_BYTES + 8, ARRAY_BYTES, ARRAY_BYTES + 8, "bytes written to an array of 32")

LAB(stack, canary, "write past the end of an array on the stack", CANARY_PARAMS)
{
	victim_run(smash_victim, (void *)a->bytes, VICTIM_STACK);
}

#define CANARY_THREADS 8

static uint64_t canaries[CANARY_THREADS];

static void note_canary(void *slot)
{
	*(uint64_t *)slot = current()->canary;
}

static unsigned int count_distinct(const uint64_t *values, unsigned int n)
{
	unsigned int distinct = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int k = 0;

		while (k < i && values[k] != values[i])
			k++;
		distinct += k == i;
	}
	return distinct;
}

/* raw= is for the scenario that compares two boots. */
LAB(stack, canaries, "no two threads have the same canary", NO_PARAMS)
{
	unsigned int distinct;

	for (int i = 0; i < CANARY_THREADS; i++) {
		struct thread *t = thread_create("victim", note_canary, &canaries[i], PAGE_SIZE);

		if (!t)
			panic("no-victim");
		thread_join(t, NULL);
	}
	distinct = count_distinct(canaries, CANARY_THREADS);
	report("[stack-lab] canaries threads=%d distinct=%u raw=0x%lx", CANARY_THREADS, distinct,
	       canaries[0]);
	end(distinct == CANARY_THREADS ? "ok" : "survived");
}

#define SECRET 0x5ec2e75ec2e75ec2
#define SECRET_WORDS 64

__attribute__((noinline)) static uint64_t use_secret(void)
{
	volatile uint64_t secret[SECRET_WORDS];

	for (int i = 0; i < SECRET_WORDS; i++)
		secret[i] = SECRET;
	return secret[0];
}

static unsigned int words_of_secret_below(uintptr_t sp)
{
	unsigned int found = 0;

	for (uintptr_t p = current()->stack.base; p < sp; p += 8)
		found += READ_ONCE(*(uint64_t *)p) == SECRET;
	return found;
}

static unsigned int secret_left;

static void erase_victim(__attribute__((unused)) void *unused)
{
	uintptr_t sp = stack_pointer;

	use_secret();
	report("[stack-lab] secret words=%u before=yes", SECRET_WORDS);
	if (protected(PROTECT_ERASE))
		stack_repaint(&current()->stack, sp - 512);
	secret_left = words_of_secret_below(sp - 512);
}

LAB(stack, erase, "what a deep call left on the stack is erased", NO_PARAMS)
{
	struct thread *t = thread_create("victim", erase_victim, NULL, VICTIM_STACK);

	if (!t)
		panic("no-victim");
	thread_join(t, NULL);
	report("[stack-lab] secret left=%s", secret_left ? "yes" : "no");
	end(secret_left ? "survived" : "ok");
}
