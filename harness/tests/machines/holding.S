// A lab that holds: says so, echoes the line that is typed, and powers off.
#include "machine.h"
main:	print	holding
1:	ldr	w1, [x20, #UART_FR]
	tbnz	w1, #UART_RX_EMPTY, 1b
	ldr	w1, [x20]
	str	w1, [x20]
	and	w1, w1, #0xff
	cmp	w1, #'\n'
	b.ne	1b
	power_off
holding: .asciz	"[lab] holding for=serial : type: go [key=value ...]\n"
