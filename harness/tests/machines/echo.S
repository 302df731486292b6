// Says that it is ready, then echoes what is typed until a 'q', and powers off.
#include "machine.h"
	.globl	leave
main:	print	ready
1:	ldr	w1, [x20, #UART_FR]
	tbnz	w1, #UART_RX_EMPTY, 1b
	ldr	w1, [x20]
	str	w1, [x20]
	and	w1, w1, #0xff
	cmp	w1, #'q'
	b.ne	1b
leave:	power_off
ready:	.asciz	"[echo] ready\n"
