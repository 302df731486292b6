/*
 * What proc/patch.c makes a function begin with: mov x9, x30; bl grow_check_<bytes>. One for each size of
 * frame, as two instructions have no room for the number. As Go does it: a frame of up to 128 bytes may lie
 * below guard0, so SP alone is compared; for a larger one, SP less what it has beyond that.
 *
 *   in    x9: the function's own return address; x30: where it goes on
 *   out   x30: its return address; x9, x10, x11, x16 and the flags are lost, as no caller keeps them
 *
 * Nothing is pushed: the stack may be at its end. SVC_GROW runs on the exception stack, and finds every
 * register in the thread's frame.
 */
#include "arch/asm.h"
#include "arch/frame.h"

#define SMALL 128

.macro check bytes
	.balign	16
	.cfi_startproc
	.cfi_register 30, 9
function grow_check_\bytes
	mov	x16, x30
	mov	x30, x9
	.cfi_same_value 30
	mrs	x10, tpidr_el1
	ldr	x10, [x10, #THREAD_GUARD0]
	.if	\bytes > SMALL
	mov	x11, #\bytes - SMALL
	sub	x11, sp, x11
	.else
	mov	x11, sp
	.endif
	cmp	x11, x10
	b.lo	1f
	ret	x16
1:	mov	x10, #\bytes
	svc	#SVC_GROW
	ret	x16
	.cfi_endproc
	endfunction grow_check_\bytes
.endm

	.section .text, "ax"
	check	128
	check	1024
	check	4096
	check	16384
