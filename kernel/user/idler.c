/* Never gives way and never ends: only the watchdog is left. labs/time/time.c. */
#include "user/user.h"

int64_t program(__attribute__((unused)) uint64_t argument)
{
	for (;;)
		;
}
