/*
 * What a lab says when something is not back: a leak, by name, and not the panic of whoever noticed. Off
 * with protect=-leak-check.
 */
#ifndef LABS_LIB_LEAK_H
#define LABS_LIB_LEAK_H

#include "base/protect.h"
#include "report/report.h"

/* Ends the boot if something was lost; `what` names it. */
static inline void leak_check(bool lost, const char *what)
{
	if (lost && protected(PROTECT_LEAK_CHECK))
		end("caught by=leak-check lost=%s", what);
}

#endif
