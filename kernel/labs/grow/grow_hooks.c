/*
 * What -finstrument-functions calls: the same check as proc/grow_check.S, but behind the prologue, when the
 * frame is already taken, and with calls of their own before and behind the function's body.
 */
#include "arch/sysreg.h"
#include "base/current.h"
#include "proc/grow.h"

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

void __cyg_profile_func_enter(__attribute__((unused)) void *function,
			      __attribute__((unused)) void *caller)
{
	if (stack_pointer < current()->guard0)
		grow_ask(0);
}

void __cyg_profile_func_exit(__attribute__((unused)) void *function,
			     __attribute__((unused)) void *caller)
{
}
