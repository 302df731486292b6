/*
 * Maps regions of `argument` bytes, touches each, until it is refused; exits with how many it got, or with
 * ERROR_MEMORY where it was memory that ran out, not rows for regions.
 */
#include "user/user.h"

int64_t program(uint64_t argument)
{
	int64_t regions = 0;
	int64_t at;

	while ((at = map(argument)) > 0) {
		volatile char *region = (volatile char *)at;

		region[0] = 1;
		region[argument - 1] = 1;
		regions++;
	}
	return at == ERROR_MEMORY ? at : regions;
}
