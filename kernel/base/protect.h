/*
 * The protections, each with a switch: `protect=-guard,-canary` turns some off, so that every test
 * can be shown to fail without the protection it tests. All are on unless the boot line says so.
 * Adding one: a name here, a row in protect.c.
 */
#ifndef BASE_PROTECT_H
#define BASE_PROTECT_H

#include "arch/types.h"

enum protection {
	PROTECT_GUARD,
	PROTECT_ENTRY,
	PROTECT_PREEMPT,
	PROTECT_SENTINEL,
	PROTECT_SP_CHECK,
	PROTECT_BT_CHECK,
	PROTECT_CANARY,
	PROTECT_PAC,
	PROTECT_SHADOW,
	PROTECT_WATERMARK,
	PROTECT_ERASE,
	PROTECT_EMERGENCY,
	PROTECT_LIGHT,
	PROTECT_WATCH,
	PROTECT_WATCHDOG,
	PROTECT_POOL_LIMIT,
	PROTECT_POOL_CHECK,
	PROTECT_POOL_LINK,
	PROTECT_POISON,
	PROTECT_REDZONE,
	PROTECT_OBJECT_PAGE,
	PROTECT_MTE,
	PROTECT_HEAP_CHECK,
	PROTECT_PAGE_CHECK,
	PROTECT_LEAK_CHECK,
	PROTECT_GROWTH,
	PROTECT_GROW_SP,
	PROTECT_GROW_MASKED,
	PROTECT_GROW_LOCKED,
	PROTECT_GROW_HANDLER,
	PROTECT_RETIRE,
	PROTECT_RESERVE_LOCK,
	PROTECT_STACKS_LOCK,
	PROTECT_CONSOLE_LOCK,
	PROTECT_LIGHT_LOCK,
	PROTECT_PERMANENT_LOCK,
	PROTECT_FAULT_TURN,
	PROTECT_ONE_END,
	PROTECT_IDLE_TICK,
	PROTECT_PATCH_ALONE,
	PROTECT_PAN,
	PROTECT_PXN,
	PROTECT_USERACCESS,
	PROTECT_ELF_CHECK,
	NR_PROTECTIONS,
};

/* Indexed by protection. Read it by protected(): allocators ask at every call, and a load is all it costs. */
extern bool protect_off[NR_PROTECTIONS];

static inline bool protected(enum protection which)
{
	return !protect_off[which];
}

/* One item of `protect=`: "-guard" or "+guard". False if there is no such switch. */
bool protect_set(const char *item);

const char *protect_name(enum protection which);
const char *protect_help(enum protection which);

#endif
