/*
 * protect=-entry: the classic entry, with the two defects of the memory-lab seed (and of most kernels
 * one reads). It pushes on the stack that was interrupted, and its interrupt stub clobbers x19 to x21.
 * Then it goes the right way: so all that differs is what these few instructions do.
 */
#include "arch/asm.h"
#include "arch/frame.h"

	/* SPSel 0: `sp` is the thread's own. A frame's worth is taken, written to, and given back. */
.macro classic slot, clobber=0
	.balign	0x80
	msr	spsel, #0
	sub	sp, sp, #FRAME_SIZE
	stp	x0, x1, [sp]
	add	sp, sp, #FRAME_SIZE
	msr	spsel, #1
	.if	\clobber
	mov	x19, xzr
	mov	x20, xzr
	mov	x21, xzr
	.endif
	b	vectors + \slot
.endm

.macro right slot
	.balign	0x80
	b	vectors + \slot
.endm

	.section .text.vectors, "ax"
	.balign	0x800
	.global	vectors_classic
function vectors_classic
	classic	0x000
	classic	0x080, 1
	.irp	slot, 0x100,0x180,0x200,0x280,0x300,0x380,0x400,0x480,0x500,0x580,0x600,0x680,0x700,0x780
	right	\slot
	.endr
	endfunction vectors_classic
