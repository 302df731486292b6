// Says one line, then nothing for ever.
#include "machine.h"
	.globl	main, asleep
	.type	asleep, %function
main:	print	line
asleep:	wfi
	b	asleep
	.size	asleep, . - asleep
line:	.asciz	"[boot] going to sleep\n"
