/*
 * mem/pool_tagged.c: blocks whose tags are none of their neighbours', whatever the unit of tags is. QEMU 7.2
 * has one for a page (arch/mte.h), so that this is the only place where blocks lie one behind the other, as on
 * hardware. No memory is touched: the window is numbers, and of tags there is a model, one for each unit.
 */
#include "host.h"

#include <string.h>

#include "mem/pool_tagged.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

#define PAGES 48 /* that the page allocator has, at most */
#define GRANULES (PAGE_SIZE / MTE_GRANULE)
#define MAX_BLOCKS 40

static struct choices *random_tags; /* a tag is whatever the input says, if it may be */

/* --- the machine's stand-ins ----------------------------------------------------------------------- */

static struct {
	size_t unit;
	size_t pages, left; /* behind the window; that may still be given */
	uint8_t tags[(PAGES + 1) *
		     GRANULES]; /* by granule; with large units only the first of each counts */
	size_t taken;		/* pages of the window, with one between two pools */
	bool enabled;
} machine;

static uint8_t *tag_of(uintptr_t address)
{
	size_t offset = address - POOL_WINDOW;

	require(offset / PAGE_SIZE < machine.pages, "only mapped memory has a tag");
	return &machine.tags[ALIGN_DOWN(offset, machine.unit) / MTE_GRANULE];
}

bool mte_present(void)
{
	return true;
}

void mte_enable(__attribute__((unused)) uint16_t seed, bool check)
{
	require(check, "tags are looked at");
	machine.enabled = true;
}

void *mte_pointer(uintptr_t address)
{
	uintptr_t tag = *tag_of(address);

	return (void *)((address & ~(0xfUL << 56)) | tag << 56);
}

size_t mte_unit(uintptr_t page)
{
	require(page % PAGE_SIZE == 0 && tag_of(page), "the unit is tried out on a page");
	return machine.unit;
}

unsigned int mte_tag_of(const void *pointer)
{
	return (uintptr_t)pointer >> 56 & 0xf;
}

unsigned int mte_tag_at(uintptr_t address)
{
	return mte_tag_of(mte_pointer(address));
}

unsigned int mte_random_tag(uint16_t excluded)
{
	unsigned int tag = choose(random_tags, 16);

	require(__builtin_popcount(excluded) <= 5, "eleven tags are left");
	while (excluded >> tag & 1)
		tag = (tag + 1) % 16;
	return tag;
}

void mte_set_tags(uintptr_t address, size_t bytes, unsigned int tag)
{
	require(machine.enabled, "tags are switched on before they are used");
	require(address % MTE_GRANULE == 0 && bytes % MTE_GRANULE == 0, "whole granules");
	for (size_t done = 0; done < bytes; done += MTE_GRANULE)
		*tag_of(address + done) = (uint8_t)tag;
}

uint64_t pool_next_key(void)
{
	return 1;
}

uintptr_t pool_window_take(size_t pages)
{
	uintptr_t va = POOL_WINDOW + machine.taken * PAGE_SIZE;

	require(machine.taken == machine.pages, "the pages before it were given back");
	machine.taken += pages;
	return va;
}

uintptr_t pool_window_back(uintptr_t va, enum map_kind kind)
{
	require(kind == MAP_TAGGED && va == POOL_WINDOW + machine.pages * PAGE_SIZE, "one by one");
	require(machine.pages < machine.taken, "and no more than were taken");
	if (!machine.left)
		return 0;
	machine.left--;
	machine.pages++;
	return va;
}

void pool_window_give_back(uintptr_t va, size_t pages)
{
	require(va + pages * PAGE_SIZE == POOL_WINDOW + machine.taken * PAGE_SIZE, "the newest");
	machine.taken -= pages;
	machine.left += machine.pages - machine.taken;
	machine.pages = machine.taken;
}

/* --- what must hold -------------------------------------------------------------------------------- */

static unsigned int tag_of_block(const struct mem_pool *pool, uintptr_t block)
{
	unsigned int tag = mte_tag_at(block);

	for (uintptr_t at = block - pool->before; at < block + pool->block; at += MTE_GRANULE)
		require(mte_tag_at(at) == tag, "a block has one tag, and what is before it has it");
	require(tag != 0 && tag != 15, "that neither untagged memory nor an untagged pointer has");
	return tag;
}

static bool is_mapped(uintptr_t address)
{
	return (address - POOL_WINDOW) / PAGE_SIZE < machine.pages;
}

static void check(const struct mem_pool *pool)
{
	for (size_t i = 0; i < pool->capacity; i++) {
		uintptr_t block = pool_block(pool, i), end = block + pool->block;
		unsigned int tag = tag_of_block(pool, block);

		require(!is_mapped(end) || mte_tag_at(end) != tag, "the first byte behind faults");
		require(!i || mte_tag_at(block - pool->before - 1) != tag, "and the first before");
	}
}

static void check_layout(const struct mem_pool *pool)
{
	uintptr_t first = pool->base - pool->before;

	require(first % PAGE_SIZE == 0, "a pool begins at a page");
	require(pool->stride == pool->before + pool->block, "blocks lie one behind the other");
	require(pool->stride % machine.unit == 0, "in whole units");
	require(pool->before < machine.unit, "with no more between them than that takes");
	require(machine.pages == machine.taken, "what it took is mapped");
	require(!pool->capacity ||
			is_mapped(pool_block(pool, pool->capacity - 1) + pool->block - 1),
		"down to the last byte");
}

/* A block changes hands: its old owner's pointer is worth nothing, and nobody else's has changed. */
static void change_hands(struct mem_pool *pool, struct choices *c)
{
	size_t i = choose(c, (unsigned int)pool->capacity);
	uintptr_t block = pool_block(pool, i);
	void *owner = pool->mode->give(pool, block);
	uint8_t tags[sizeof(machine.tags)];

	require(mte_tag_of(owner) == mte_tag_at(block), "an owner may touch its block");
	memcpy(tags, machine.tags, sizeof(tags));
	pool->mode->withdraw(pool, block);
	require(mte_tag_of(owner) != mte_tag_at(block), "and no longer when it was freed");
	for (size_t k = 0; k < pool->capacity; k++)
		require(k == i ||
				mte_tag_at(pool_block(pool, k)) ==
					tags[(size_t)(tag_of(pool_block(pool, k)) - machine.tags)],
			"which changes no other");
	check(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };
	struct mem_pool pool = { .mode = &pool_tagged };

	random_tags = &c;
	memset(&machine, 0, sizeof(machine));
	known_unit = 0;
	machine.unit = choose(&c, 2) ? PAGE_SIZE : MTE_GRANULE;
	machine.left = choose(&c, 4) ? PAGES : choose(&c, 8);
	pool.block =
		(choose(&c, 16) ? 1 + choose(&c, 40) : 1 + choose(&c, 255) * 3UL) * MTE_GRANULE;
	/* Or so many that their bytes are a few again. */
	pool.capacity =
		choose(&c, 16) ? choose(&c, MAX_BLOCKS) : SIZE_MAX / pool.block + choose(&c, 4);
	if (!pool.mode->make(&pool)) {
		require(!machine.pages && !machine.taken, "what is refused keeps nothing");
		return 0;
	}
	check_layout(&pool);
	check(&pool);
	for (unsigned int n = choose(&c, 20); n && pool.capacity; n--)
		change_hands(&pool, &c);
	return 0;
}
