/* Says hello and exits with its argument; with HELLO_WAITS, only after somebody at the gate has answered. */
#include "user/user.h"

#define HELLO_WAITS 0x100

int64_t program(uint64_t argument)
{
	static struct message at_gate;

	if (argument & HELLO_WAITS) {
		at_gate.words[0] = argument;
		if (call(HANDLE_GATE, &at_gate))
			return ERROR_DIED;
	} else {
		say("hello from EL0");
	}
	return (int64_t)(argument & ~(uint64_t)HELLO_WAITS);
}
