/* See grow_deep.h and build.mk. */
#include "labs/grow_deep.h"

GROW_DEEP(patched)

uint64_t grow_big_patched(uint64_t seed)
{
	volatile uint64_t array[9 * KiB / sizeof(uint64_t)];

	array[0] = seed;
	array[ARRAY_SIZE(array) - 1] = seed + 1;
	return array[0] + array[ARRAY_SIZE(array) - 1];
}
