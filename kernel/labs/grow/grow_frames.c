/* Grow labs: one frame of 9 KiB on a stack that grows page by page: it leaves a hole, or jumps the guard. */
#include "arch/sysreg.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/grow/grower.h"
#include "labs/lib/big_frame.h"
#include "mem/growspace.h"
#include "report/report.h"

STACK_CALLS("stand_at_end", "kernel/labs/*probed.c:big_*", "big_frame.h: struct big_frames")
STACK_CALLS("hole_grower", "kernel/labs/*probed.c:big_*", "big_frame.h: struct big_frames")
STACK_DYNAMIC("stand_at_end", 64 * KiB, "all of its 64 KiB of addresses but ROOM_BYTES")

#define WINDOW (64 * KiB)
#define RESERVE 32
#define NEIGHBOUR (16 * KiB)
/* Room left above the window's end before the frame is taken: less than the frame. */
#define ROOM_BYTES (2 * KiB)

static const struct big_frames *frames(uint64_t probed)
{
	return probed ? &big_frames_probed : &big_frames_unprobed;
}

static unsigned long holes;

static void hole_grower(void *argument)
{
	const struct big_frames *f = argument;

	report("[grow-lab] taking a frame of 9 KiB");
	f->fixed(0);
	holes = current()->growth->pages_in_holes;
	grower_report(current()->growth);
}

#define PROBED_PARAM(P) P(probed, 1, 0, 1, "1: with -fstack-clash-protection")

LAB(grow, hole, "one frame larger than a page, in the middle of the stack", PROBED_PARAM)
{
	struct grower g = {
		.spec = { .kind = GROW_DEMAND, .limit = WINDOW },
		.reserve = RESERVE,
		.function = hole_grower,
		.argument = (void *)frames(a->probed),
	};

	grower_run(&g);
	end(holes ? "survived" : "ok");
}

/* A painted stack below the grower's addresses, its guard between. */
static struct stack neighbour = { .name = "neighbour", .size = NEIGHBOUR, .guard = PAGE_SIZE };

static void make_neighbour(void)
{
	growspace_fill(NEIGHBOUR / PAGE_SIZE);
	if (!growspace_take(NEIGHBOUR, &neighbour.base))
		panic("no-neighbour");
	if (!growspace_map(neighbour.base, NEIGHBOUR))
		panic("no-neighbour");
	stack_prepare(&neighbour, 0);
	stack_register(&neighbour);
}

/* Stand so low, with an honest frame of our own, which is probed and so is mapped page by page. */
__attribute__((noinline)) static uint64_t stand_at_end(const struct big_frames *f)
{
	uintptr_t low = current()->growth->lowest + ROOM_BYTES;
	volatile uint8_t *honest = __builtin_alloca(stack_pointer - low);

	honest[0] = 1;
	return f->fixed(0) + honest[0];
}

static void jump_grower(void *argument)
{
	report("[grow-lab] taking a frame of 9 KiB where 2 are left");
	stand_at_end(argument);
	report("[grow-lab] came back, neighbour written=%s",
	       stack_high_watermark(&neighbour) ? "yes" : "no");
}

LAB(grow, jump, "one frame larger than the guard, at the end of the addresses", PROBED_PARAM)
{
	struct grower g = {
		.spec = { .kind = GROW_DEMAND, .limit = WINDOW },
		.reserve = RESERVE,
		.function = jump_grower,
		.argument = (void *)frames(a->probed),
	};

	make_neighbour();
	grower_run(&g);
	end("survived");
}
