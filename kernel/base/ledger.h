/*
 * Who holds what: every allocation that is not given back yet, with the calls that made it. Kept only
 * between ledger_open() and ledger_close(), by the allocators themselves; inject.sweep reads it. The
 * table is fixed: nothing here allocates.
 */
#ifndef BASE_LEDGER_H
#define BASE_LEDGER_H

#include "arch/types.h"

struct inject_site;

#define LEDGER_CALLERS 2

struct ledger_entry {
	const struct inject_site *site; /* which allocator; NULL: this row is free */
	const void *memory;
	size_t bytes;
	uintptr_t callers[LEDGER_CALLERS]; /* return addresses, innermost first */
};

extern bool ledger_is_open;

/* Begin with an empty ledger; and no longer keep one. */
void ledger_open(void);
void ledger_close(void);

/* What is held, entry by entry; NULL to begin and at the end. */
const struct ledger_entry *ledger_next(const struct ledger_entry *e);

/* Allocations that found no row: the ledger is then no proof of anything. */
extern size_t ledger_missed;

void ledger_note(const struct inject_site *site, const void *memory, size_t bytes);
void ledger_strike(const struct inject_site *site, const void *memory);

/* For allocators, with the address of their own site: memory was given out (NULL: it was not), or back. */
static inline void ledger_took(const struct inject_site *site, const void *memory, size_t bytes)
{
	if (__builtin_expect(ledger_is_open, false) && memory)
		ledger_note(site, memory, bytes);
}

static inline void ledger_gave(const struct inject_site *site, const void *memory)
{
	if (__builtin_expect(ledger_is_open, false))
		ledger_strike(site, memory);
}

#endif
