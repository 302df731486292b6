/*
 * The light environment: what the first code of a kernel has when all its loader gave it is 1 KiB
 * of stack for each CPU. See light.h; the C side is light/light.c.
 *
 * Its vectors save nothing. A fault here is never resumed, so they take one stack that all CPUs
 * share, whoever comes first keeps it, and light_fault() only names the exception. The others
 * stop.
 */
#include "arch/asm.h"
#include "arch/frame.h"
#include "light/enter.h"
#include "arch/virt.h"

	.section .text, "ax"

	/* x0: this CPU's thread. The stack is found by the CPU's own id, as no loader tells it. */
	.cfi_startproc
	.cfi_undefined 30
function light_enter
	msr	daifset, #0xf
	msr	spsel, #0
	adrp	x1, light_entry
	add	x1, x1, :lo12:light_entry
	ldr	x2, [x1, #LIGHT_VECTORS]
	msr	vbar_el1, x2
	adrp	x2, boot_thread			/* its canary: there is no other thread */
	add	x2, x2, :lo12:boot_thread
	msr	tpidr_el1, x2
	mrs	x2, mpidr_el1			/* arch/mpidr.h does the same */
	and	x3, x2, #0xffff
	ubfx	x4, x2, #8, #4
	and	x2, x2, #0xf
	bfi	x2, x4, #4, #4
	ldr	x4, [x1, #LIGHT_RAW_IDS]
	cmp	x4, #0
	csel	x2, x2, x3, eq
	ldp	x3, x4, [x1, #LIGHT_TOP]
	msub	x2, x2, x4, x3			/* top - index * size */
	mov	sp, x2
	mov	x29, xzr
	mov	x30, xzr
	msr	daifclr, #1			/* the watchdog */
	ldr	x1, [x1, #LIGHT_MAIN]
	blr	x1				/* does not return: light_leave() */
1:	wfi
	b	1b
	.cfi_endproc
	endfunction light_enter

	/* x0: the thread to go on in. What is on the stack now is gone. */
function light_leave
	msr	daifset, #0xf
	adrp	x1, vectors
	add	x1, x1, :lo12:vectors
	msr	vbar_el1, x1
	msr	spsel, #1
	add	x0, x0, #THREAD_FRAME
	b	vector_resume
	endfunction light_leave

	.cfi_startproc
function light_swap_sp
	mov	sp, x0
	ret
	.cfi_endproc
	endfunction light_swap_sp

	.cfi_startproc
function light_borrow
	stp	x29, x30, [sp, #-32]!
	.cfi_def_cfa_offset 32
	.cfi_offset 29, -32
	.cfi_offset 30, -24
	str	x19, [sp, #16]
	mov	x29, sp
	.cfi_def_cfa 29, 32
	mov	x19, sp
	mov	sp, x2
	mov	x2, x0
	mov	x0, x1
	blr	x2
	mov	sp, x19
	ldr	x19, [sp, #16]
	ldp	x29, x30, [sp], #32
	.cfi_def_cfa 31, 0
	.cfi_restore 29
	.cfi_restore 30
	ret
	.cfi_endproc
	endfunction light_borrow

.macro light_vector kind
	.balign	0x80
	mov	x0, #\kind
	b	light_exception
.endm

	/* EL1h is light_fault() itself, or another CPU that waits for its end. */
.macro light_vectors_nested
	.rept	4
	.balign	0x80
	b	last_report
	.endr
.endm

	.balign	0x800
function light_vectors
	light_vector	KIND_SYNC
	light_vector	KIND_IRQ
	light_vector	KIND_FIQ
	light_vector	KIND_SERROR
	light_vectors_nested
	.rept	2				/* EL0: never entered */
	light_vector	KIND_SYNC
	light_vector	KIND_IRQ
	light_vector	KIND_FIQ
	light_vector	KIND_SERROR
	.endr
	endfunction light_vectors

	.cfi_startproc
	.cfi_undefined 30
function light_exception
	adrp	x1, light_fault_taken
	add	x1, x1, :lo12:light_fault_taken
	mov	w3, #1
1:	ldaxr	w2, [x1]
	cbnz	w2, 2f
	stxr	w2, w3, [x1]
	cbnz	w2, 1b
	adrp	x1, light_fault_stack
	add	x1, x1, :lo12:light_fault_stack
	add	x1, x1, #LIGHT_FAULT_STACK_SIZE
	mov	sp, x1
	mov	x29, xzr
	mov	x30, xzr
	bl	light_fault			/* does not return */
2:	wfi
	b	2b
	.cfi_endproc
	endfunction light_exception
