/* A free that an allocator did not do: why, and both call sites. The last one of each is kept. */
#ifndef MEM_REFUSAL_H
#define MEM_REFUSAL_H

#include "arch/types.h"

struct refusal {
	const char *why; /* NULL: there was none */
	uintptr_t now;	 /* return address of the call that was refused */
	uintptr_t first; /* of the one that freed it before; 0: not known */
};

/* [AREA] refused why=double-free now=symbol+off first=symbol+off */
void refusal_report(const char *area, const struct refusal *r);

#endif
