/*
 * Spawns itself, `argument` deep, and exits with how many there were. With SPAWNER_LEAVES: spawns one hello
 * that waits at the gate, and exits before it.
 */
#include "user/user.h"

#define SPAWNER_LEAVES 0x100
#define HELLO_WAITS 0x100
#define ORPHAN_CODE 5
#define LEAVER_CODE 7

int64_t program(uint64_t argument)
{
	int64_t child;
	int64_t below;

	if (argument & SPAWNER_LEAVES)
		return spawn("hello", HELLO_WAITS | ORPHAN_CODE) < 0 ? ERROR_SLOTS : LEAVER_CODE;
	if (argument <= 1)
		return 1;
	child = spawn("spawner", argument - 1);
	if (child < 0)
		return child;
	below = wait(child);
	return below < 0 ? below : below + 1;
}
