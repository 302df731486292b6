/* See grow_deep.h. */
#include "base/stack_note.h"
#include "labs/grow/grow_deep.h"

STACK_CALLS("deep_run", "kernel/labs/grow/grow_*.c:grow_deep_*",
	    "grow_deep.h: one source, compiled four times")

struct deep_check deep_check;
struct deep_check deep_checks[DEEP_CPUS];
uint32_t deep_arrived, deep_leave;
size_t deep_last_frame[DEEP_CPUS];

void deep_run(deep_function *deep, uint64_t frames)
{
	struct deep_link root = { .depth = frames };

	deep_check = (struct deep_check){ .frames = 0 };
	/* The pointer escapes, so that the compiler keeps `root` on the stack, where it is to be found. */
	deep(frames - 1, &root);
	deep_check.locals += root.depth != frames;
}

bool deep_right(void)
{
	return !deep_check.locals && !deep_check.pointers && !deep_check.registers;
}
