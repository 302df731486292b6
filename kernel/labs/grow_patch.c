/* Grow labs: the check itself, patched in and out while text stays read-only. */
#include "arch/mmu.h"
#include "core/lab.h"
#include "core/report.h"
#include "labs/grower.h"
#include "proc/patch.h"

LAB_WORDS(alias_word, "no", "yes")

/* Writable mappings of the page that text is in: none may be left behind. */
static unsigned int aliases(const void *text)
{
	uintptr_t page = ALIGN_DOWN(virt_to_phys((uintptr_t)text), PAGE_SIZE);
	unsigned int found = 0;

	for (uintptr_t va = GROW_WINDOW; va < GROW_WINDOW + GROW_WINDOW_SIZE; va += PAGE_SIZE)
		found += mmu_page_of(va) == page;
	return found;
}

#define PATCH_PARAMS(P)                                                                            \
	P(alias, 1, 0, 1, "write through a mapping of its own, or where the code runs",            \
	  .name = alias_word)

LAB(grow, patch, "a check is patched into a function and out again", PATCH_PARAMS)
{
	const uint32_t *entry = (const uint32_t *)grow_deep_patched;
	uint32_t before = entry[1];

	grower_patch(grow_deep_patched);
	report("[grow-lab] patched in check=%lu text_writable=%s aliases=%u",
	       patch_check(grow_deep_patched),
	       mmu_accessible((uintptr_t)entry, true) ? "yes" : "no", aliases(entry));
	deep_run(grow_deep_patched, 1);
	if (!a->alias)
		FAULT_SITE(grow_patch, "str %w0, [%1]", "r"(before), "r"(&entry[1]));
	if (patch_out(grow_deep_patched))
		panic("not-patched-out");
	report("[grow-lab] patched out check=%lu as_before=%s", patch_check(grow_deep_patched),
	       entry[1] == before ? "yes" : "no");
	deep_run(grow_deep_patched, 1);
	end(a->alias ? "ok" : "survived");
}
