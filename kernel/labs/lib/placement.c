/* See placement.h. */
#include "labs/lib/placement.h"

#include "arch/cycles.h"
#include "arch/timer.h"

#define COUNT 16UL /* instructions to a count of the timer */
#define ROUNDS 64

/* From cycles to instructions since the timer's counter was 0, but for a constant. */
static int64_t offset;

static int64_t least_offset(void)
{
	uint64_t count = sysreg_read(cntpct_el0);

	return (int64_t)(COUNT * count - cycles());
}

/*
 * A look at both counters is short of the truth by the 0 to 15 instructions since the timer's went on: the
 * best of many looks, at every phase, is not short at all. The nop keeps the loop from being a multiple of
 * 16 instructions long at each turn.
 */
void placement_init(void)
{
	cycles_start();
	offset = least_offset();
	for (int i = 1; i < ROUNDS; i++) {
		int64_t least = least_offset();

		if (least > offset)
			offset = least;
		if (i % 2)
			__asm__ volatile("nop");
	}
}

unsigned long placement_arm(uint64_t counts, unsigned long instructions)
{
	uint64_t now = cycles() + (uint64_t)offset;

	timer_fire_at(now / COUNT + counts);
	return instructions + COUNT - now % COUNT;
}
