/* Where every thread begins and where its backtrace ends: x19(x20), then thread_exit(). */
#include "arch/asm.h"

	.section .text, "ax"
	.cfi_startproc
	.cfi_undefined 30
function thread_start
	mov	x0, x20
	blr	x19
	bl	thread_exit
	.cfi_endproc
	endfunction thread_start
