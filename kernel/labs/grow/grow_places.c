/*
 * Grow labs: places of the growth window that are used again. A range in the hole between two others has unmapped
 * pages on both its sides.
 */
#include "arch/mmu.h"
#include "arch/virt.h"
#include "lab/lab.h"
#include "mem/growspace.h"
#include "report/report.h"

#define HOLE_PAGES 16
#define RANGE (HOLE_PAGES * PAGE_SIZE)

LAB_WORDS(beside_word, "below", "above")

static uintptr_t take(size_t size)
{
	uintptr_t lowest;

	if (!growspace_take(size, &lowest))
		panic("no-range");
	return lowest;
}

static void back(uintptr_t range, size_t size)
{
	if (!growspace_map(range, size))
		panic("reserve-too-small");
}

/* Ranges come round and round: one that takes the rest of the window brings the next to its beginning. */
static void go_round(uintptr_t last)
{
	uintptr_t rest = last + RANGE + PAGE_SIZE;

	growspace_give(take(GROW_WINDOW + GROW_WINDOW_SIZE - PAGE_SIZE - rest));
}

static const char *mapped(uintptr_t va)
{
	return mmu_page_of(va) ? "mapped" : "unmapped";
}

#define REFILLED_PARAMS(P)                                                                         \
	P(side, 0, 0, 1, "which side of it is touched", .name = beside_word)                       \
	P(pages, HOLE_PAGES, 1, HOLE_PAGES + 1, "of the new range; the hole has 16")

LAB(grow, refilled, "a range in the hole between two others is touched beside its end",
    REFILLED_PARAMS)
{
	size_t size = a->pages * PAGE_SIZE;
	uintptr_t low = take(RANGE), hole = take(RANGE), high = take(RANGE);
	uintptr_t middle;
	uintptr_t at;

	growspace_give(hole);
	go_round(high);
	middle = take(size);
	growspace_fill((2 * RANGE + size) / PAGE_SIZE);
	back(low, RANGE);
	back(middle, size);
	back(high, RANGE);
	report("[grow-lab] refilled hole=%s below=%s above=%s", middle == hole ? "yes" : "no",
	       mapped(middle - 1), mapped(middle + size));
	at = a->side ? middle + size : middle - 1;
	report("[grow-lab] touching side=%s", beside_word(a->side));
	FAULT_SITE(touch_beside_range, "ldrb wzr, [%0]", "r"(at));
	end("survived");
}
