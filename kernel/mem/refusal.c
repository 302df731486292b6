/* See refusal.h. */
#include "mem/refusal.h"

#include "report/report.h"

static void add_owner(const char *key, uintptr_t owner)
{
	if (owner)
		record_add(" %s=%pR", key, (void *)owner);
	else
		record_add(" %s=nobody", key);
}

void refusal_report(const char *area, const struct refusal *r)
{
	record_begin();
	record_add("[%s] refused why=%s now=%pR", area, r->why, (void *)r->now);
	if (r->first)
		record_add(" first=%pR", (void *)r->first);
	if (r->corrupt) {
		add_owner("header_of", r->header_of);
		add_owner("after", r->after);
	}
	record_end();
}
