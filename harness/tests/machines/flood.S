// Prints for ever.
#include "machine.h"
main:	print	line
	b	main
line:	.asciz	"[flood] and again\n"
