/*
 * Pool labs: how much memory has one tag. Each 16 bytes of a page get a tag; then it is looked at what they
 * have. Where the machine keeps fewer (QEMU 7.2: arch/mte.h), the last ones written are everybody's.
 */
#include "arch/mte.h"
#include "base/protect.h"
#include "lab/lab.h"
#include "mem/pool_window.h"
#include "report/report.h"

#define GRANULES (PAGE_SIZE / MTE_GRANULE)
#define TAGS 16

static unsigned int tag_for(size_t granule)
{
	return granule % TAGS;
}

static uintptr_t tagged_page(void)
{
	uintptr_t va = pool_window_take(1);

	if (!va || !pool_window_back(va, MAP_TAGGED))
		panic("no-page");
	mte_enable(1, protected(PROTECT_MTE));
	return va;
}

LAB(pool, tag_units, "each 16 bytes of a page get a tag, and are asked for it", NO_PARAMS)
{
	size_t kept = 0, different = 0;
	unsigned int seen = 0;
	uintptr_t page;

	if (!mte_present())
		end("bad-args why=no-mte : this machine keeps no tags; boot with -M virt,mte=on -cpu max");
	page = tagged_page();
	for (size_t i = 0; i < GRANULES; i++)
		mte_set_tags(page + i * MTE_GRANULE, MTE_GRANULE, tag_for(i));
	for (size_t i = 0; i < GRANULES; i++) {
		unsigned int tag = mte_tag_at(page + i * MTE_GRANULE);

		kept += tag == tag_for(i);
		different += !(seen >> tag & 1);
		seen |= 1U << tag;
	}
	report("[pool-lab] tags written=%lu kept=%lu different=%lu unit=%lu", GRANULES, kept,
	       different, mte_unit(page));
}
