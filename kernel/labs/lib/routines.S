/* What C cannot say: SP where it should not be, and every register at once. See asm.h. */
#include "arch/asm.h"
#include "labs/lib/routines.h"

	.section .text, "ax"

	/* A frame record of its own and x9 for SP; the CFA hangs on x29, whatever SP does. */
.macro enter
	stp	x29, x30, [sp, #-16]!
	.cfi_def_cfa_offset 16
	.cfi_offset 29, -16
	.cfi_offset 30, -8
	mov	x29, sp
	.cfi_def_cfa 29, 16
.endm

.macro leave
	mov	sp, x29
	ldp	x29, x30, [sp], #16
	.cfi_def_cfa 31, 0
	.cfi_restore 29
	.cfi_restore 30
	ret
.endm

	.balign	16				/* stack.sp_text pushes into this very function */
	.cfi_startproc
function lab_push_at
	enter
	mov	sp, x0
fault_site_wild_push:
	stp	xzr, xzr, [sp, #-16]!
	svc	#0
	leave
	.cfi_endproc
	endfunction lab_push_at

	.pushsection .rodata.sites, "a"
wild_push_name:
	.asciz	"wild_push"
below_sp_name:
	.asciz	"below_sp"
	.popsection
	.pushsection .fault_sites, "a"
	.balign	8
	.quad	fault_site_wild_push, wild_push_name
	.quad	fault_site_below_sp, below_sp_name
	.popsection

	.cfi_startproc
function lab_svc_at
	enter
	mov	sp, x0
	svc	#0
	leave
	.cfi_endproc
	endfunction lab_svc_at

	.cfi_startproc
function lab_spin_at
	enter
	mov	sp, x0
	ldr	x2, [x1]
1:	ldr	x3, [x1]
	cmp	x2, x3
	b.eq	1b
	leave
	.cfi_endproc
	endfunction lab_spin_at

#define PATTERN 0x5a5a

	.cfi_startproc
function lab_scratch_below_sp
	enter
	mov	x1, sp
	sub	x2, x1, x0
	mov	x3, #PATTERN
1:	str	x3, [x1, #-8]!
	cmp	x1, x2
	b.hi	1b
	svc	#0
	mov	x0, #1
	mov	x1, sp
2:	ldr	x4, [x1, #-8]!
	cmp	x4, x3
	csel	x0, x0, xzr, eq
	cmp	x1, x2
	b.hi	2b
	leave
	.cfi_endproc
	endfunction lab_scratch_below_sp

	.cfi_startproc
function lab_fill_below_sp
	enter
	mov	x1, sp
fault_site_below_sp:
	str	xzr, [x1, #-8]!
	cmp	x1, x0
	b.hi	fault_site_below_sp
	leave
	.cfi_endproc
	endfunction lab_fill_below_sp

	/* Register n holds n times this, so that none can stand for another. */
#define KNOWN(n) (LAB_KNOWN * (n))

.macro known_registers
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	mov	x\n, #KNOWN(\n)
	.endr
.endm

	/* With interrupts open, x0 instructions go by. */
.macro let_by
	msr	daifclr, #2
	tbz	x0, #0, 1f			/* an odd one more, and two for each two */
	nop
1:	subs	x0, x0, #2
	b.ge	1b
.endm

	.cfi_startproc
function lab_registers
	stp	x29, x30, [sp, #-96]!
	.cfi_def_cfa_offset 96
	.cfi_offset 29, -96
	.cfi_offset 30, -88
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	known_registers
	let_by
	.global	lab_registers_svc
lab_registers_svc:
	svc	#0
2:	adrp	x0, lab_hit
	ldr	w0, [x0, :lo12:lab_hit]
	cbz	w0, 2b
	.global	lab_registers_end
lab_registers_end:
	msr	daifset, #2
	mov	x0, xzr
	/* x1 is looked at first, and then free to compare the others with. */
	cmp	x1, #KNOWN(1)
	cinc	x0, x0, ne
	.irp	n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	mov	x1, #KNOWN(\n)
	cmp	x1, x\n
	cinc	x0, x0, ne
	.endr
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp], #96
	.cfi_def_cfa_offset 0
	.cfi_restore 29
	.cfi_restore 30
	ret
	.cfi_endproc
	endfunction lab_registers

	.cfi_startproc
function lab_yield
	svc	#0
	ret
	.cfi_endproc
	endfunction lab_yield

function lab_partner
	svc	#0
	b	lab_partner
	.global	lab_partner_end
lab_partner_end:
	endfunction lab_partner

	/* Not to return: the thread ends where its stack does. SP is in x1 before it is wanted. */
	.cfi_startproc
	.cfi_undefined 30
function lab_overflow_known
	mov	sp, x1
	known_registers
	let_by
	.global	lab_overflow_push
lab_overflow_push:
	stp	xzr, xzr, [sp, #-16]!
	b	lab_overflow_push
	.global	lab_overflow_end
lab_overflow_end:
	.cfi_endproc
	endfunction lab_overflow_known

	/* The registers that the classic entry clobbers are put back: its defect is to hurt the swept code only. */
	.cfi_startproc
function lab_await_hit
	enter
	stp	x19, x20, [sp, #-32]!
	str	x21, [sp, #16]
	msr	daifclr, #2
1:	adrp	x0, lab_hit
	ldr	w0, [x0, :lo12:lab_hit]
	cbz	w0, 1b
	msr	daifset, #2
	ldr	x21, [sp, #16]
	ldp	x19, x20, [sp], #32
	leave
	.cfi_endproc
	endfunction lab_await_hit

	.comm	lab_hit, 4, 4

	.cfi_startproc
function lab_call_bare
	enter
	str	x2, [sp, #-16]!
	mov	x9, xzr
	mov	x16, xzr
	bl	grow_deep_patched
	ldr	x2, [sp]
	str	x16, [x2]
	leave
	.cfi_endproc
	endfunction lab_call_bare
