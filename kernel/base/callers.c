/* See callers.h. */
#include "base/callers.h"

#include "arch/sysreg.h"
#include "base/cpu.h"
#include "base/current.h"

/* A frame record (AAPCS64): the caller's record, and the return address. */
struct record {
	const struct record *caller;
	uintptr_t return_address;
};

static const struct record *next(const struct record *r)
{
	const struct stack *own =
		on_exception_stack() ? &cpu_local()->irq_stack : &current()->stack;
	uintptr_t last = stack_top(own) - sizeof(*r);

	/* Only upwards and within the stack: what cannot be a record is not read. */
	if (!r || r->caller <= r || !stack_contains(own, (uintptr_t)r->caller) ||
	    (uintptr_t)r->caller > last)
		return NULL;
	return r->caller;
}

__attribute__((noinline)) void callers(uintptr_t *found, size_t count)
{
	/* Our own record, our caller's; the next is F's. */
	const struct record *r = next(next(__builtin_frame_address(0)));

	for (size_t i = 0; i < count; i++) {
		found[i] = r ? r->return_address : 0;
		r = next(r);
	}
}
