/* See refusal.h. */
#include "mem/refusal.h"

#include "core/report.h"

void refusal_report(const char *area, const struct refusal *r)
{
	record_begin();
	record_add("[%s] refused why=%s now=%pR", area, r->why, (void *)r->now);
	if (r->first)
		record_add(" first=%pR", (void *)r->first);
	record_end();
}
