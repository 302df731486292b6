/* See illegal.h. */
#include "labs/illegal.h"

#include "core/lab.h"

__attribute__((noinline)) void write_null(void)
{
	FAULT_SITE(null_write, "str xzr, [%0]", "r"(8UL));
}
