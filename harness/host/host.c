/*
 * See host.h. The stand-ins are the least that links: no serial port, every protection is on, no fault is
 * injected and no ledger kept.
 */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ledger.h"
#include "base/protect.h"
#include "report/inject.h"
#include "report/report.h"

bool protect_off[NR_PROTECTIONS];

bool ledger_is_open;

bool inject_decide(__attribute__((unused)) struct inject_site *site,
		   __attribute__((unused)) size_t bytes)
{
	return false;
}

void ledger_note(__attribute__((unused)) const struct inject_site *site,
		 __attribute__((unused)) const void *memory, __attribute__((unused)) size_t bytes)
{
}

void ledger_strike(__attribute__((unused)) const struct inject_site *site,
		   __attribute__((unused)) const void *memory)
{
}

void record_begin(void)
{
}

void record_add(__attribute__((unused)) const char *format, ...)
{
}

void record_end(void)
{
}

void violated(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: violated: %s\n", file, line, what);
	abort();
}

uint8_t choose(struct choices *c, unsigned int below)
{
	if (!c->left)
		return 0;
	c->left--;
	return *c->at++ % below;
}

uint64_t choose_number(struct choices *c)
{
	static const uint64_t bases[] = { 0, 16, 256, 4096, 1UL << 31, 1UL << 32, 1UL << 63, 0 };
	uint64_t base = bases[choose(c, ARRAY_SIZE(bases))];

	/* 16 below to 239 above; round 0 that is around the wrap, too. */
	return base + choose(c, 256) - (choose(c, 2) ? 16 : 0);
}

void *exact_copy(const void *from, size_t size)
{
	void *copy = malloc(size);

	if (!copy)
		violated(__FILE__, __LINE__, "the host has memory");
	if (size)
		memcpy(copy, from, size);
	return copy;
}

void *no_memory(void)
{
	return NULL;
}
