/* See space.h. */
#include "mem/space.h"

#include "arch/descriptor.h"
#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "arch/user.h"
#include "arch/words.h"
#include "base/protect.h"
#include "mem/page.h"

#define LEAF_LEVEL 3

static inline uint64_t *new_page(void)
{
	uint64_t *page = page_alloc();

	if (page)
		fill_words(page, page + ENTRIES, 0);
	return page;
}

static uint64_t attributes(enum space_kind kind)
{
	uint64_t common = DESC_VALID | DESC_TABLE | DESC_AF | DESC_SHARED | DESC_USER |
			  DESC_NOT_GLOBAL | DESC_ATTR(ATTR_NORMAL);

	if (protected(PROTECT_PXN))
		common |= DESC_PXN;
	if (kind == SPACE_TEXT)
		return common | DESC_RO;
	if (kind == SPACE_RODATA)
		return common | DESC_RO | DESC_UXN;
	return kind == SPACE_DATA ? common | DESC_UXN : common;
}

bool space_create(struct space *s, unsigned int asid)
{
	uint64_t *root = new_page();

	*s = (struct space){ .root = 0 };
	if (!root)
		return false;
	s->asid = asid;
	s->root = virt_to_phys(root);
	s->tables = 1;
	return true;
}

static void destroy_table(uintptr_t table, unsigned int level)
{
	uint64_t *entries = phys_to_virt(table);

	for (int i = 0; i < ENTRIES; i++) {
		uint64_t entry = entries[i];

		if (!(entry & DESC_VALID))
			continue;
		if (level < LEAF_LEVEL)
			destroy_table(entry & DESC_ADDRESS, level + 1);
		else if (!(entry & DESC_BORROWED))
			page_free(phys_to_virt(entry & DESC_ADDRESS));
	}
	page_free(entries);
}

void space_destroy(struct space *s)
{
	if (!s->root)
		return;
	user_table_forget(s->asid);
	destroy_table(s->root, 1);
	*s = (struct space){ .root = 0 };
}

static uint64_t *entry_at(uintptr_t table, uintptr_t va, unsigned int level)
{
	return (uint64_t *)phys_to_virt(table) + (va >> LEVEL_SHIFT(level)) % ENTRIES;
}

/* The leaf entry for va; NULL where a table is missing. */
static uint64_t *find_leaf(const struct space *s, uintptr_t va)
{
	uintptr_t table = s->root;

	if (!table)
		return NULL;
	for (unsigned int level = 1; level < LEAF_LEVEL; level++) {
		uint64_t entry = *entry_at(table, va, level);

		if (!(entry & DESC_VALID))
			return NULL;
		table = entry & DESC_ADDRESS;
	}
	return entry_at(table, va, LEAF_LEVEL);
}

/* The same, its tables made on the way; those that were made stay when a later one cannot be. */
static uint64_t *make_leaf(struct space *s, uintptr_t va)
{
	uintptr_t table = s->root;

	for (unsigned int level = 1; level < LEAF_LEVEL; level++) {
		uint64_t *entry = entry_at(table, va, level);

		if (!(*entry & DESC_VALID)) {
			uint64_t *next = new_page();

			if (!next)
				return NULL;
			s->tables++;
			*entry = virt_to_phys(next) | DESC_TABLE | DESC_VALID;
		}
		table = *entry & DESC_ADDRESS;
	}
	return entry_at(table, va, LEAF_LEVEL);
}

static bool map(struct space *s, uintptr_t va, void *page, uint64_t bits)
{
	uint64_t *leaf = s->root && va < USER_END ? make_leaf(s, va) : NULL;

	if (!leaf || *leaf & DESC_VALID)
		return false;
	*leaf = virt_to_phys(page) | bits;
	dsb();
	return true;
}

void *space_map_new(struct space *s, uintptr_t va, enum space_kind kind)
{
	void *page = new_page();

	if (!page)
		return NULL;
	if (map(s, va, page, attributes(kind))) {
		s->pages++;
		return page;
	}
	page_free(page);
	return NULL;
}

bool space_map_borrowed(struct space *s, uintptr_t va, void *page, enum space_kind kind)
{
	return map(s, va, page, attributes(kind) | DESC_BORROWED);
}

bool space_unmap(struct space *s, uintptr_t va)
{
	uint64_t *leaf = va < USER_END ? find_leaf(s, va) : NULL;
	uint64_t entry = leaf ? *leaf : 0;

	if (!(entry & DESC_VALID) || entry & DESC_BORROWED)
		return false;
	*leaf = 0;
	user_table_forget(s->asid);
	page_free(phys_to_virt(entry & DESC_ADDRESS));
	s->pages--;
	return true;
}

void *space_page(const struct space *s, uintptr_t va, bool write)
{
	uint64_t *leaf = s->root && va < USER_END ? find_leaf(s, va) : NULL;

	if (!leaf || !(*leaf & DESC_VALID) || (write && *leaf & DESC_RO))
		return NULL;
	return (char *)phys_to_virt(*leaf & DESC_ADDRESS) + va % PAGE_SIZE;
}

uint64_t space_ttbr0(const struct space *s)
{
	return s->root | (uint64_t)s->asid << TTBR_ASID_SHIFT;
}
