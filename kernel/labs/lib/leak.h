/*
 * What a lab says when something is not back: a leak, by name, and not the panic of whoever noticed. Off
 * with protect=-leak-check.
 */
#ifndef LABS_LEAK_H
#define LABS_LEAK_H

#include "core/protect.h"
#include "core/report.h"

/* Ends the boot if something was lost; `what` names it. */
static inline void leak_check(bool lost, const char *what)
{
	if (lost && protected(PROTECT_LEAK_CHECK))
		end("caught by=leak-check lost=%s", what);
}

#endif
