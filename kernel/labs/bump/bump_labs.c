/* Bump labs: the early heap's arithmetic at its edges. scenarios/test_bump.py is the other half. */
#include "mem/bump.h"

#include "lab/lab.h"
#include "report/report.h"

#define START 0x10000UL /* nothing is touched there: only numbers are handed out */
#define RANGE 0x1000UL

static const struct {
	size_t size, align;
	const char *what;
} asked[] = {
	{ 1, 1, "a byte" },
	{ 8, 8, "the next aligned address" },
	{ 0, 1, "nothing: an address all the same" },
	{ SIZE_MAX, 1, "with the address this wraps" },
	{ SIZE_MAX - START - 7, 1, "with the address this is the last byte there is" },
	{ SIZE_MAX - START - 15, 16, "with the aligned address this is 0" },
	{ RANGE + 1, 1, "more than there is" },
	{ 1, 1UL << 63, "aligned behind the end" },
	{ 1, 0, "no alignment" },
	{ 1, 24, "no power of two" },
	{ 1, RANGE, "aligned to the very end, where no byte is left" },
	{ 0, RANGE, "nothing fits even there" },
	{ 1, 1, "exhausted" },
};

LAB(bump, edges, "sizes and alignments that wrap, round or only just fit", NO_PARAMS)
{
	struct bump b = { START, START + RANGE };

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		uintptr_t before = b.at;
		uintptr_t at = (uintptr_t)bump_alloc(&b, asked[i].size, asked[i].align);

		record_begin();
		record_add("[bump-lab] %s size=0x%lx align=0x%lx", at ? "given" : "refused",
			   asked[i].size, asked[i].align);
		if (at)
			record_add(" at=0x%lx", at - START);
		record_add(" taken=%lu left=%lu : %s", b.at - before, b.end - b.at, asked[i].what);
		record_end();
		if (at && (at < START || asked[i].size > START + RANGE - at))
			end("survived");
	}
}

/* Never given back: what is left only shrinks, and the last piece is the last. */
LAB(bump, exhaust, "the early heap itself runs dry, by halves", NO_PARAMS)
{
	size_t taken = 0;

	for (size_t size = 512 * KiB; size; size /= 2) {
		while (kmem_alloc_aligned(size, 1))
			taken += size;
	}
	report("[bump-lab] exhausted left=%lu one_more=%s", 1 * MiB - kmem_used(),
	       kmem_alloc_aligned(1, 1) ? "given" : "refused");
	if (!taken || kmem_used() != 1 * MiB || kmem_alloc_aligned(1, 1))
		end("survived");
}
