/*
 * A process's half of the addresses: a tree of tables from the page allocator, under its own ASID. The
 * kernel never uses these mappings itself: what it reads or writes of a process it finds here and goes
 * to by its own address of the page (space_page), so nothing a process hands it can fault.
 */
#ifndef MEM_SPACE_H
#define MEM_SPACE_H

#include "arch/types.h"

#define USER_END (1UL << 39)

struct space {
	uintptr_t root; /* physical; 0: there is none */
	unsigned int asid;
	size_t tables, pages; /* how many it owns, the root table included */
};

enum space_kind {
	SPACE_TEXT, /* RX at EL0 */
	SPACE_RODATA,
	SPACE_DATA,
	SPACE_TEXT_WRITABLE, /* only what a loader without checks lets through; WXN makes it XN */
};

/* One table. False: no page for it. asid: 1 to 255, of no other living space. */
bool space_create(struct space *s, unsigned int asid);

/* Gives back tables and pages, but for those that were borrowed; forgets the ASID. */
void space_destroy(struct space *s);

/* Map a cleared page of its own at va (page aligned, free). The kernel's address of it, or NULL. */
void *space_map_new(struct space *s, uintptr_t va, enum space_kind kind);

/* Map somebody else's page. False: no page for a table. */
bool space_map_borrowed(struct space *s, uintptr_t va, void *page, enum space_kind kind);

/* Take one page of its own away and give it back. False: there is none at va. */
bool space_unmap(struct space *s, uintptr_t va);

/*
 * The kernel's address of a byte that EL0 may read (with `write`: write) at va; NULL if it may not.
 * Good to the end of its page.
 */
void *space_page(const struct space *s, uintptr_t va, bool write);

/* TTBR0_EL1 for this space. */
uint64_t space_ttbr0(const struct space *s);

#endif
