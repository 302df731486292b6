// The vectors lie in unmapped memory, so the first exception raises the next one, for ever: fills QEMU's -d int log.
#include "machine.h"
main:	mov	x0, #0x3000000000
	msr	vbar_el1, x0
	isb
	brk	#0
