/* See site.h. */
#include "base/site.h"

struct fault_site {
	uintptr_t pc;
	const char *name;
};
extern const struct fault_site __fault_sites_start[];
extern const struct fault_site __fault_sites_end[];

const char *fault_site(uintptr_t pc)
{
	for (const struct fault_site *s = __fault_sites_start; s < __fault_sites_end; s++)
		if (s->pc == pc)
			return s->name;
	return NULL;
}
