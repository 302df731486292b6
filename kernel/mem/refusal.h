/* What an allocator did not do: why, and the call sites. The last one of each is kept. */
#ifndef MEM_REFUSAL_H
#define MEM_REFUSAL_H

#include "arch/types.h"

struct refusal {
	const char *why;  /* NULL: there was none */
	uintptr_t now;	  /* return address of the call that was refused */
	uintptr_t first;  /* of the one that freed it before; 0: not known */
	uint64_t corrupt; /* not 0: a header was written over: of the block that one call took, */
	uintptr_t header_of, after; /* after the block that another did; 0: nobody */
};

/*
 * [AREA] refused why=double-free now=symbol+off first=symbol+off
 * [AREA] refused why=corrupt now=symbol+off header_of=symbol+off|nobody after=symbol+off|nobody
 */
void refusal_report(const char *area, const struct refusal *r);

#endif
