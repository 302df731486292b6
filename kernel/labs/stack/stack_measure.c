/*
 * Stack labs: watermarks that tell the truth, and the two that cannot. Beside the painted mark stands the
 * true lowest SP, taken from the frames themselves.
 */
#include "arch/sysreg.h"
#include "base/current.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/stack/descend.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_CALLS("measure", "kernel/labs/stack/descend_O?.c:* descend promise write_paint", "struct job")
STACK_RECURSION("kernel/labs/*.c:descend*", 100, "depth=, at most 100")
STACK_DYNAMIC("promise", 4 * KiB, "assembly takes 4 KiB that the compiler does not know of")
STACK_DYNAMIC("write_paint", 4 * KiB, "likewise")

/* What a measured function found: the lowest SP it was on, and how large its frame is. */
struct descent descent;

DESCEND(descend)

struct job {
	uint64_t (*down)(uint64_t calls, uintptr_t caller);
	uint64_t asked, budget; /* calls or bytes; bytes */
	const char *what;
	bool over, noticed;
};

static void measure(void *argument)
{
	struct job *job = argument;
	size_t used, lowest;

	job->down(job->asked, stack_pointer);
	used = thread_stack_high_watermark_bytes(current());
	lowest = stack_top(&current()->stack) - descent.lowest;
	report("[stack-lab] %s asked=%lu frame=%lu used=%lu lowest_sp=%lu gap=%lu budget=%lu",
	       job->what, job->asked, descent.frame, used, lowest,
	       lowest > used ? lowest - used : 0, job->budget);
	job->over = lowest > job->budget;
	job->noticed = used > job->budget;
}

static void run(struct job *job)
{
	struct thread *t = thread_create("victim", measure, job, THREAD_STACK_DEFAULT);

	if (!t)
		panic("no-victim");
	thread_join(t, NULL);
}

__attribute__((noreturn)) static void judge(const struct job *job)
{
	if (job->noticed)
		end("caught by=watermark");
	end(job->over ? "survived" : "ok");
}

#define WATERMARK_PARAMS(P)                                                                        \
	P(depth, 32, 1, 100, "calls deep, each with a frame that is wholly written")               \
	P(budget, 2 * KiB, 0, 64 * KiB, "bytes of stack that the victim may use")

LAB(stack, watermark, "measure a known depth by paint, and hold it against a budget",
    WATERMARK_PARAMS)
{
	struct job job = { descend, a->depth, a->budget, "watermark", false, false };

	run(&job);
	judge(&job);
}

/* The same source at each level of optimisation: the frames differ, paint and SP agree in each. */
LAB(stack, watermark_levels, "the same depth at each level of optimisation", WATERMARK_PARAMS)
{
	struct job jobs[] = {
		{ descend_O0, a->depth, a->budget, "O0", false, false },
		{ descend_O1, a->depth, a->budget, "O1", false, false },
		{ descend_O2, a->depth, a->budget, "O2", false, false },
		{ descend_O3, a->depth, a->budget, "O3", false, false },
		{ descend_Os, a->depth, a->budget, "Os", false, false },
	};
	unsigned int noticed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		run(&jobs[i]);
		noticed += jobs[i].noticed;
	}
	report("[stack-lab] noticed levels=%u of=%lu", noticed, ARRAY_SIZE(jobs));
	end(noticed == ARRAY_SIZE(jobs) ? "caught by=watermark" : "survived");
}

static uint64_t touch_reserved;

/*
 * A frame record is always written and lies lowest, so a function that only reserves an array does not
 * fool the mark. A leaf that moves SP and writes nothing down there does: that stack is only promised.
 */
__attribute__((noinline, no_stack_protector)) static uint64_t promise(uint64_t bytes,
								      uintptr_t caller)
{
	uintptr_t before = stack_pointer;
	uintptr_t lowest;

	__asm__ volatile("sub	sp, sp, %1\n\t"
			 "mov	%0, sp\n\t"
			 "cbz	%2, 1f\n\t"
			 "stp	xzr, xzr, [sp]\n"
			 "1:	add	sp, sp, %1"
			 : "=&r"(lowest)
			 : "r"(bytes), "r"(touch_reserved)
			 : "memory");
	NOTE_FRAME(lowest, caller);
	return before - lowest;
}

#define UNTOUCHED_PARAMS(P)                                                                        \
	P(touch, 0, 0, 1, "1: write the lowest bytes of what is reserved")                         \
	P(budget, 2 * KiB, 0, 64 * KiB, "bytes of stack that the victim may use")

LAB(stack, watermark_untouched, "stack reserved and never written: the mark does not see it",
    UNTOUCHED_PARAMS)
{
	struct job job = { promise, 4 * KiB, a->budget, "untouched", false, false };

	touch_reserved = a->touch;
	run(&job);
	judge(&job);
}

/* All that is written looks like paint, the frame record's neighbours included. */
static uint64_t lookalike;

__attribute__((noinline, no_stack_protector)) static uint64_t write_paint(uint64_t bytes,
									  uintptr_t caller)
{
	uint64_t value = lookalike ? stack_marks.paint : ~stack_marks.paint;
	uintptr_t lowest;

	__asm__ volatile("sub	%0, sp, %1\n\t"
			 "mov	x9, sp\n\t"
			 "mov	sp, %0\n"
			 "1:	str	%2, [x9, #-8]!\n\t"
			 "cmp	x9, %0\n\t"
			 "b.hi	1b\n\t"
			 "add	sp, sp, %1"
			 : "=&r"(lowest)
			 : "r"(bytes), "r"(value)
			 : "x9", "cc", "memory");
	NOTE_FRAME(lowest, caller);
	return value;
}

#define LOOKALIKE_PARAMS(P)                                                                        \
	P(lookalike, 1, 0, 1, "1: the data is equal to the paint")                                 \
	P(budget, 2 * KiB, 0, 64 * KiB, "bytes of stack that the victim may use")

LAB(stack, watermark_lookalike, "data equal to the paint: the mark does not see it",
    LOOKALIKE_PARAMS)
{
	struct job job = { write_paint, 4 * KiB, a->budget, "lookalike", false, false };

	lookalike = a->lookalike;
	run(&job);
	judge(&job);
}
