/* See illegal.h. */
#include "labs/lib/illegal.h"

#include "lab/lab.h"

__attribute__((noinline)) void write_null(void)
{
	FAULT_SITE(null_write, "str xzr, [%0]", "r"(8UL));
}
