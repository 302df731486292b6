/* The first instruction of every program: x0 is its argument, SP the top of its stack. */
#include "arch/asm.h"

	.section .text.start, "ax"
	.cfi_startproc
	.cfi_undefined 30
function _start
	mov	x29, xzr
	mov	x30, xzr
	bl	program
	mov	x8, #0				/* SYS_EXIT */
	svc	#0
	brk	#0				/* it does not return; and where it would is in a function */
	.cfi_endproc
	endfunction _start
