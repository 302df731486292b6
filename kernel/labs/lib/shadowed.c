/* One function with a shadow call stack, for stack_shadow.c: the only file built for it (build.mk). */
#include "labs/lib/shadowed.h"

__attribute__((noinline)) uintptr_t overwrite_shadowed_return(uintptr_t value)
{
	volatile uintptr_t *record = __builtin_frame_address(0);

	record[1] = value;
	return record[1];
}
