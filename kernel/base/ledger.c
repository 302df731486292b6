/* See ledger.h. */
#include "base/ledger.h"

#include "base/callers.h"

#define ROWS 256

bool ledger_is_open;
size_t ledger_missed;

static struct ledger_entry rows[ROWS];

void ledger_open(void)
{
	for (size_t i = 0; i < ROWS; i++)
		rows[i].site = NULL;
	ledger_missed = 0;
	ledger_is_open = true;
}

void ledger_close(void)
{
	ledger_is_open = false;
}

const struct ledger_entry *ledger_next(const struct ledger_entry *e)
{
	for (e = e ? e + 1 : rows; e < rows + ROWS; e++)
		if (e->site)
			return e;
	return NULL;
}

void ledger_note(const struct inject_site *site, const void *memory, size_t bytes)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (rows[i].site)
			continue;
		rows[i] = (struct ledger_entry){ .site = site, .memory = memory, .bytes = bytes };
		callers(rows[i].callers, LEDGER_CALLERS);
		return;
	}
	ledger_missed++;
}

/* What was taken before the ledger was opened is not in it. */
void ledger_strike(const struct inject_site *site, const void *memory)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].site == site && rows[i].memory == memory)
			rows[i].site = NULL;
}
