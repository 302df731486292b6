/* Stack labs: how. One frame larger than the guard, alloca, below SP, and the exception entry itself. */
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/cpu.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/big_frame.h"
#include "labs/lib/routines.h"
#include "labs/lib/victim.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_CALLS("stand_low", "kernel/labs/*probed.c:big_*", "big_frame.h: struct big_frames")
STACK_DYNAMIC("stand_low", 16 * KiB, "all of its 16 KiB stack but ROOM_BYTES")
STACK_DYNAMIC("kernel/labs/*probed.c:big_*", 12304, "bytes=, at most 12 KiB, in whole 16 bytes")
STACK_SWITCHES("kernel/labs/lib/routines.S:lab_svc_at",
	       "an exception with SP where the lab wants it; calls nothing there")
STACK_SWITCHES("kernel/labs/lib/routines.S:lab_spin_at", "the same for an interrupt")
STACK_MARK("stack/entry-control-no-entry.log", "thread:victim",
	   "lab_svc_at loads SP with the end of its stack, and protect=-entry pushes there")

/* Room left on the victim's stack before the frame is taken: less than the frame. */
#define ROOM_BYTES (2 * KiB)

struct jump {
	uint64_t (*frame)(size_t bytes);
	size_t bytes;
};

/* Take the frame when ROOM_BYTES are left, by standing that far down with an honest frame of our own. */
__attribute__((noinline)) static uint64_t stand_low(const struct jump *jump)
{
	size_t down = stack_pointer - current()->stack.base - ROOM_BYTES;
	volatile uint8_t *honest = __builtin_alloca(down);

	honest[0] = 1;
	return jump->frame(jump->bytes) + honest[0];
}

static void jump_victim(void *jump)
{
	report("[stack-lab] taking one frame larger than what is left");
	stand_low(jump);
	report("[stack-lab] came back");
}

static const struct big_frames *frames(uint64_t probed)
{
	return probed ? &big_frames_probed : &big_frames_unprobed;
}

#define PROBED_PARAM(P) P(probed, 1, 0, 1, "1: with -fstack-clash-protection")
#define GUARD_PARAM(P) P(guard, 1, 1, 8, "pages of guard on each side of the victim's stack")
#define BYTES_PARAM(P) P(bytes, 9 * KiB, 16, 12 * KiB, "bytes of the array")
#define JUMP_PARAMS(P) PROBED_PARAM(P) GUARD_PARAM(P)
#define DYNAMIC_PARAMS(P) PROBED_PARAM(P) GUARD_PARAM(P) BYTES_PARAM(P)

LAB(stack, jump, "one frame larger than the guard", JUMP_PARAMS)
{
	struct jump jump = { .frame = frames(a->probed)->fixed };

	victim_run_guarded(jump_victim, &jump, a->guard * PAGE_SIZE);
}

LAB(stack, alloca, "alloca of more than is left", DYNAMIC_PARAMS)
{
	struct jump jump = { .frame = frames(a->probed)->alloca, .bytes = a->bytes };

	victim_run_guarded(jump_victim, &jump, a->guard * PAGE_SIZE);
}

LAB(stack, vla, "a variable-length array of more than is left", DYNAMIC_PARAMS)
{
	struct jump jump = { .frame = frames(a->probed)->vla, .bytes = a->bytes };

	victim_run_guarded(jump_victim, &jump, a->guard * PAGE_SIZE);
}

/*
 * A leaf that writes below SP without moving it, as a red zone allows elsewhere. What lies there
 * survives an exception, as no entry pushes on a thread's stack; below the stack it is a fault.
 */
#define SCRATCH_BYTES 128

static void below_sp_victim(__attribute__((unused)) void *unused)
{
	bool kept = lab_scratch_below_sp(SCRATCH_BYTES);

	report("[stack-lab] scratch below_sp=%u kept=%s", SCRATCH_BYTES, kept ? "yes" : "no");
	lab_fill_below_sp(current()->stack.base - 64);
	report("[stack-lab] came back");
}

LAB(stack, below_sp, "a leaf function writes below SP until its stack ends", NO_PARAMS)
{
	victim_run(below_sp_victim, NULL, 16 * KiB);
}

/*
 * The exception entry with less room on the stack than a register frame takes: every distance, by
 * exception and by interrupt. SP goes down to the base, and the thread must come back each time.
 */
static unsigned long tight_entries(void (*take)(uintptr_t sp))
{
	uintptr_t base = current()->stack.base;
	unsigned long rooms = 0;

	for (size_t room = 0; room <= sizeof(struct frame); room += 16, rooms++)
		take(base + room);
	return rooms;
}

static void take_irq(uintptr_t sp)
{
	lab_spin_at(sp, &cpu_local()->ticks);
}

static void entry_victim(__attribute__((unused)) void *unused)
{
	unsigned long rooms = tight_entries(lab_svc_at);

	report("[stack-lab] entry by=svc rooms=%lu", rooms);
	rooms = tight_entries(take_irq);
	report("[stack-lab] entry by=irq rooms=%lu guard=%s", rooms,
	       thread_stack_guard_ok(current()) ? "ok" : "bad");
}

LAB(stack, entry, "exceptions when no room is left for a register frame", NO_PARAMS)
{
	struct thread *t = thread_create("victim", entry_victim, NULL, 16 * KiB);

	if (!t)
		panic("no-victim");
	if (thread_join(t, NULL) == THREAD_EXITED)
		end("ok");
}
