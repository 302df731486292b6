/* Labs as newcomers write them: test_tutorial.py builds this file. Its static names are the kernel's, too. */
#include "lab/lab.h"
#include "report/report.h"
#include "labs/lib/victim.h"
#include "proc/thread.h"

/* --- a thread of its own, on a stack of a constant size and on one of a parameter's --------------- */

static void idle(__attribute__((unused)) void *unused)
{
	report("[kinds-lab] delivered");
}

#define COURIER_PARAMS(P) P(stack, 8 * KiB, 4 * KiB, 64 * KiB, "bytes of the second one's stack")

LAB(kinds, courier, "threads of its own come and go", COURIER_PARAMS)
{
	thread_join(thread_create("courier", idle, NULL, 8 * KiB), NULL);
	thread_join(thread_create("porter", idle, NULL, ALIGN_DOWN(a->stack, PAGE_SIZE)), NULL);
	end("ok");
}

/* --- a recursion that ends -------------------------------------------------------------------------- */

STACK_RECURSION("measure", 10, "count down from 9 at most")

__attribute__((noinline)) static uint64_t measure(uint64_t n)
{
	volatile uint64_t kept = n;

	return n ? measure(n - 1) + kept : 0;
}

#define SUM_PARAMS(P) P(from, 4, 0, 9, "the number to count down from")

LAB(kinds, sum, "a recursion that ends", SUM_PARAMS)
{
	report("[kinds-lab] sum=%lu", measure(a->from));
	end("ok");
}

/* --- calls through a pointer, and words for a parameter ---------------------------------------------- */

static void fault(void)
{
	report("[kinds-lab] first");
}

static void handle(void)
{
	report("[kinds-lab] second");
}

/* volatile: or the compiler would call both by name. */
static void (*volatile steps[])(void) = { fault, handle };

STACK_CALLS("dispatch", "fault handle", "the table of steps")

__attribute__((noinline)) static void dispatch(uint64_t most)
{
	for (uint64_t i = 0; i <= most; i++)
		steps[i]();
}

LAB_WORDS(op_name, "one", "both")
#define STEPS_PARAMS(P) P(steps, 1, 0, 1, "how many steps", .name = op_name)

LAB(kinds, steps, "functions called through a table", STEPS_PARAMS)
{
	dispatch(a->steps);
	end("ok");
}

/* --- one of two victims, and one with a frame of variable size ----------------------------------------- */

static void settle(void *count)
{
	report("[kinds-lab] settled %lu", (uint64_t)count);
}

static void fill(void *count)
{
	volatile char *bytes = __builtin_alloca((size_t)count);

	bytes[0] = 1;
	report("[kinds-lab] filled %lu", (uint64_t)count);
}

STACK_DYNAMIC("fill", 256, "count=, at most 256")

#define CHOICE_PARAMS(P) P(count, 64, 16, 256, "bytes") P(fill, 1, 0, 1, "take them from the stack")

LAB(kinds, choice, "one of two victims", CHOICE_PARAMS)
{
	victim_run(a->fill ? fill : settle, (void *)a->count, 16 * KiB);
}
