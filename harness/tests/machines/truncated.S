// Its last line has no end.
#include "machine.h"
main:	print	line
	power_off
line:	.asciz	"[boot] whole\n[end] o"
