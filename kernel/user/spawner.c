/*
 * Spawns itself, `argument` deep, and exits with how many there were. With SPAWNER_LEAVES: spawns one hello
 * that waits at the gate, and exits before it. With SPAWNER_RETRIES: spawns one more, a second time where it
 * was refused once, and has it behind the first free handle, or else a handle was lost: ERROR_HANDLE.
 */
#include "user/user.h"

#define SPAWNER_LEAVES 0x100
#define SPAWNER_RETRIES 0x200
#define HELLO_WAITS 0x100
#define ORPHAN_CODE 5
#define LEAVER_CODE 7

/* How many there were, and tries that were refused. */
static int64_t spawn_again(void)
{
	int64_t refused = 0;
	int64_t child = spawn("spawner", 1);
	int64_t below;

	if (child < 0) {
		refused = 1;
		child = spawn("spawner", 1);
	}
	if (child < 0)
		return child;
	below = wait(child);
	return child == NR_BOOT_HANDLES ? below + 1 + refused : ERROR_HANDLE;
}

int64_t program(uint64_t argument)
{
	int64_t child;
	int64_t below;

	if (argument & SPAWNER_LEAVES)
		return spawn("hello", HELLO_WAITS | ORPHAN_CODE) < 0 ? ERROR_SLOTS : LEAVER_CODE;
	if (argument & SPAWNER_RETRIES)
		return spawn_again();
	if (argument <= 1)
		return 1;
	child = spawn("spawner", argument - 1);
	if (child < 0)
		return child;
	below = wait(child);
	return below < 0 ? below : below + 1;
}
