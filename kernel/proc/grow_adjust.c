/*
 * See grow_adjust.h. Frame records are known exactly: x29 leads from one to the next (AAPCS64 6.4.6). Of any
 * other word nobody knows whether it is a pointer: `conservative` takes for one what has the value of one, and
 * so corrupts an integer that looks like an address (grow.lookalike); `frames` leaves all pointers stale. What
 * is kept outside of stack and registers is never found (grow.stale). A compiler that grows stacks by copying
 * knows where each pointer is, and proves that none is kept elsewhere; this one does neither.
 */
#include "proc/grow_adjust.h"

#include "arch/virt.h"
#include "report/backtrace.h"

#define FP 29

static bool points_into(const struct copied *old, uintptr_t value)
{
	return value - old->base < old->top - old->base;
}

/* By value: `old` in memory would be read again for each word, as a store might have changed it. */
static size_t copy_words(const struct copied old, bool adjust)
{
	uintptr_t size = adjust ? old.top - old.base : 0;
	uintptr_t *to = (uintptr_t *)(old.sp + old.delta);
	size_t pointers = 0;

	for (const uintptr_t *from = (uintptr_t *)old.sp; from < (uintptr_t *)old.top; from++) {
		bool pointer = *from - old.base < size;

		*to++ = pointer ? *from + old.delta : *from;
		pointers += pointer;
	}
	return pointers;
}

static void adjust_registers(struct growth *g, struct frame *f, const struct copied *old)
{
	int first = g->spec.adjust == ADJUST_CONSERVATIVE ? 0 : FP;

	for (int n = first; n <= FP && g->spec.adjust != ADJUST_NONE; n++)
		if (points_into(old, f->x[n]))
			f->x[n] += old->delta;
	f->record[0] = f->x[FP];
	f->sp += old->delta;
}

/*
 * A signed return address (FEAT_PAuth) was signed with the SP at its function's entry: its caller's SP, which is
 * the bottom of its caller's frame, as long as that function has no alloca. In hint
 * space (autia1716, pacia1716): on a CPU that does not sign they do nothing.
 */
static uintptr_t authenticate(uintptr_t address, uintptr_t modifier)
{
	register uintptr_t x17 __asm__("x17") = address;
	register uintptr_t x16 __asm__("x16") = modifier;

	__asm__ volatile("hint #12" : "+r"(x17) : "r"(x16));
	return x17;
}

static uintptr_t sign(uintptr_t address, uintptr_t modifier)
{
	register uintptr_t x17 __asm__("x17") = address;
	register uintptr_t x16 __asm__("x16") = modifier;

	__asm__ volatile("hint #8" : "+r"(x17) : "r"(x16));
	return x17;
}

/* `address` is what the record has, and `caller` where its caller's record lies. */
static uintptr_t resign(struct growth *g, const struct copied *old, uintptr_t address,
			uintptr_t caller)
{
	uintptr_t bare = address | KVA_BASE, sp;

	if (address == bare || !g->spec.resign)
		return address;
	sp = frame_bottom(caller, bare, true);
	if (authenticate(address, sp) != bare) {
		g->foreign++;
		return address;
	}
	g->resigned++;
	return sign(bare, sp + old->delta);
}

/* From the old records, which nobody has touched, to the new ones. */
static void adjust_records(struct growth *g, uintptr_t fp, const struct copied *old)
{
	while (points_into(old, fp) && fp >= old->sp && fp % 8 == 0) {
		const uintptr_t *from = (uintptr_t *)fp;
		uintptr_t *to = (uintptr_t *)(fp + old->delta);

		if (points_into(old, from[0]))
			to[0] = from[0] + old->delta;
		to[1] = resign(g, old, from[1], from[0]);
		g->records++;
		if (from[0] <= fp)
			break;
		fp = from[0];
	}
}

void grow_adjust(struct growth *g, struct frame *f, const struct copied *old)
{
	uintptr_t fp = f->x[FP];

	g->pointers += copy_words(*old, g->spec.adjust == ADJUST_CONSERVATIVE);
	g->words += (old->top - old->sp) / sizeof(uintptr_t);
	adjust_registers(g, f, old);
	if (g->spec.adjust != ADJUST_NONE)
		adjust_records(g, fp, old);
}
