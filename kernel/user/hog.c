/* Maps regions of `argument` bytes, touches each, until it is refused; exits with how many it got. */
#include "user/user.h"

int64_t program(uint64_t argument)
{
	int64_t regions = 0;
	volatile char *region;

	while ((region = map(argument))) {
		region[0] = 1;
		region[argument - 1] = 1;
		regions++;
	}
	return regions;
}
