/*
 * The check and the morestack that a Go kernel on bare metal had: labs/grow/grow_seed.c says what is wrong with
 * them. Here as they were, but for the call that makes the stack larger, which is the lab's choice.
 */
#include "arch/asm.h"
#include "arch/frame.h"

#define FRAME 64
#define SAVED 256

	.section .text, "ax"

	/*
	 * x0: frames left; x1: nonzero, ask SVC_GROW for more. A frame of 64 bytes each, and back. The check
	 * comes first, and the function begins again behind it, as in Go.
	 */
	.balign	16
	.cfi_startproc
function grow_seed_deep
	mrs	x10, tpidr_el1
	ldr	x10, [x10, #THREAD_GUARD0]
	mov	x11, sp
	cmp	x11, x10
	b.lo	grow_seed_more
	stp	x29, x30, [sp, #-FRAME]!
	.cfi_def_cfa_offset FRAME
	.cfi_offset 29, -FRAME
	.cfi_offset 30, -FRAME + 8
	mov	x29, sp
	cbz	x0, 1f
	sub	x0, x0, #1
	bl	grow_seed_deep
1:	ldp	x29, x30, [sp], #FRAME
	.cfi_def_cfa_offset 0
	.cfi_restore 29
	.cfi_restore 30
	ret
	.cfi_endproc
	endfunction grow_seed_deep

	.balign	16
	.cfi_startproc
function grow_seed_more
	cbz	x1, grow_seed_morestack
	mov	x10, #FRAME
	svc	#SVC_GROW
	b	grow_seed_deep
	.cfi_endproc
	endfunction grow_seed_more

	/* All registers onto the stack that has just been found too small. */
	.balign	16
	.cfi_startproc
function grow_seed_morestack
	stp	x29, x30, [sp, #-SAVED]!
	.cfi_def_cfa_offset SAVED
	.cfi_offset 29, -SAVED
	.cfi_offset 30, -SAVED + 8
	.irp	n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26
	str	x\n, [sp, #16 + \n * 8]
	.endr
	/* bl growStack: commented out there too */
	ldp	x29, x30, [sp], #SAVED
	.cfi_def_cfa_offset 0
	.cfi_restore 29
	.cfi_restore 30
	b	grow_seed_deep
	.cfi_endproc
	endfunction grow_seed_morestack
