/*
 * The sixteen vectors, and the two ways in.
 *
 *   vector_entry     from a thread (EL1t, later EL0). At rest SP_EL1 points at the current thread's
 *                    register frame inside its control block, so nothing is ever pushed on a stack
 *                    that may have overflowed: the frame is filled in place, then the CPU's own
 *                    exception stack is taken. exception_entry() returns the frame to resume.
 *   emergency_entry  from EL1h, that is, from a handler: always fatal, so the emergency stack is
 *                    taken at once, without looking at SP. The watchdog (FIQ) comes this way too.
 *                    A second emergency has no stack left and reports from registers (last.S); a
 *                    third switches the machine off.
 *
 * DESIGN invariant: one overflow, one abort. Vector layout: Arm ARM D1.10.2.
 */
#include "arch/asm.h"
#include "arch/frame.h"
#include "arch/virt.h"

	/* GDB finds the interrupted registers in the frame that x29 marks. 31 is SP, 32 is PC. */
.macro cfi_frame_at_x29
	.cfi_def_cfa 29, FRAME_SIZE - FRAME_RECORD
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	.cfi_offset \n, FRAME_X(\n) - FRAME_SIZE
	.endr
	.cfi_offset 32, FRAME_ELR - FRAME_SIZE
.endm

	/* x2 to x30 into the frame at sp; x0 and x1 are the caller's business. */
.macro save_x2_to_x30
	stp	x2, x3, [sp, #FRAME_X(2)]
	stp	x4, x5, [sp, #FRAME_X(4)]
	stp	x6, x7, [sp, #FRAME_X(6)]
	stp	x8, x9, [sp, #FRAME_X(8)]
	stp	x10, x11, [sp, #FRAME_X(10)]
	stp	x12, x13, [sp, #FRAME_X(12)]
	stp	x14, x15, [sp, #FRAME_X(14)]
	stp	x16, x17, [sp, #FRAME_X(16)]
	stp	x18, x19, [sp, #FRAME_X(18)]
	stp	x20, x21, [sp, #FRAME_X(20)]
	stp	x22, x23, [sp, #FRAME_X(22)]
	stp	x24, x25, [sp, #FRAME_X(24)]
	stp	x26, x27, [sp, #FRAME_X(26)]
	stp	x28, x29, [sp, #FRAME_X(28)]
	str	x30, [sp, #FRAME_X(30)]
.endm

	/* ELR, SPSR, ESR, FAR and the frame record; kind in x0, clobbers x1 and x2. */
.macro save_syndrome
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	stp	x1, x2, [sp, #FRAME_ELR]
	stp	x29, x1, [sp, #FRAME_RECORD]
	mrs	x1, esr_el1
	mrs	x2, far_el1
	stp	x1, x2, [sp, #FRAME_ESR]
	str	x0, [sp, #FRAME_KIND]
	add	x29, sp, #FRAME_RECORD
.endm

.macro vector kind
	.balign	0x80
	stp	x0, x1, [sp, #FRAME_X(0)]
	mov	x0, #\kind
	b	vector_entry
.endm

	/*
	 * No register to spare and no stack to trust: x0 and x1 wait in TPIDR_EL0 and TPIDRRO_EL0.
	 * The CPU comes from MPIDR_EL1 (16 CPUs a cluster on this board), as TPIDR_EL1 may be what broke.
	 */
.macro emergency_vector kind
	.balign	0x80
	msr	tpidr_el0, x0
	msr	tpidrro_el0, x1
	mrs	x0, mpidr_el1
	ubfx	x1, x0, #8, #4
	and	x0, x0, #0xf
	bfi	x0, x1, #4, #4
	adrp	x1, emergency
	add	x1, x1, :lo12:emergency
	add	x1, x1, x0, lsl #EMERGENCY_SHIFT
	ldr	x0, [x1, #EMERGENCY_LEVEL]
	add	x0, x0, #1
	str	x0, [x1, #EMERGENCY_LEVEL]
	cmp	x0, #2
	b.eq	last_report
	b.hi	last_off
	mov	x0, sp
	str	x0, [x1, #EMERGENCY_SP]
	ldr	x0, [x1, #EMERGENCY_FRAME]
	cbnz	x0, 1f
	mov	x0, sp				/* protect=-emergency: push where it may have overflowed */
	sub	x0, x0, #FRAME_SIZE
1:	mov	sp, x0
	mov	x0, #\kind
	b	emergency_entry
.endm

	.section .text.vectors, "ax"
	.balign	0x800
	.global	vectors
	.type	vectors, %function
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa 31, 0
	.cfi_undefined 30
	.cfi_undefined 32
vectors:
	vector		KIND_SYNC		/* 0x000 EL1t */
	vector		KIND_IRQ		/* 0x080 */
	emergency_vector KIND_FIQ		/* 0x100 the watchdog */
	vector		KIND_SERROR		/* 0x180 */
	emergency_vector KIND_SYNC		/* 0x200 EL1h: a handler faulted */
	emergency_vector KIND_IRQ		/* 0x280 */
	emergency_vector KIND_FIQ		/* 0x300 the watchdog */
	emergency_vector KIND_SERROR		/* 0x380 */
	vector		KIND_SYNC		/* 0x400 EL0, AArch64 */
	vector		KIND_IRQ		/* 0x480 */
	emergency_vector KIND_FIQ		/* 0x500 the watchdog */
	vector		KIND_SERROR		/* 0x580 */
	vector		KIND_SYNC		/* 0x600 EL0, AArch32: never entered */
	vector		KIND_IRQ		/* 0x680 */
	emergency_vector KIND_FIQ		/* 0x700 */
	vector		KIND_SERROR		/* 0x780 */
	.cfi_endproc
	endfunction vectors

	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa 31, 0
	.cfi_undefined 30
	.cfi_undefined 32
function vector_entry
	save_x2_to_x30
	mrs	x1, sp_el0
	str	x1, [sp, #FRAME_SP]
	save_syndrome
	cfi_frame_at_x29
	mov	x0, sp
	ldr	x1, [sp, #FRAME_IRQ_STACK_TOP]
	mov	sp, x1
	msr	daifclr, #1			/* the watchdog may interrupt a handler: it never returns */
	bl	exception_entry
	msr	daifset, #1
	.global	vector_resume
vector_resume:					/* start.S comes here with a thread for a new CPU */
	mov	sp, x0
	.cfi_def_cfa 31, FRAME_SIZE
	/* Only now, with no C function left to compare its canary, may the current thread change. */
	sub	x1, x0, #THREAD_FRAME
	msr	tpidr_el1, x1
	ldp	x1, x2, [sp, #FRAME_ELR]
	msr	elr_el1, x1
	msr	spsr_el1, x2
	ldp	x30, x1, [sp, #FRAME_X(30)]
	msr	sp_el0, x1
	ldp	x28, x29, [sp, #FRAME_X(28)]
	ldp	x26, x27, [sp, #FRAME_X(26)]
	ldp	x24, x25, [sp, #FRAME_X(24)]
	ldp	x22, x23, [sp, #FRAME_X(22)]
	ldp	x20, x21, [sp, #FRAME_X(20)]
	ldp	x18, x19, [sp, #FRAME_X(18)]
	ldp	x16, x17, [sp, #FRAME_X(16)]
	ldp	x14, x15, [sp, #FRAME_X(14)]
	ldp	x12, x13, [sp, #FRAME_X(12)]
	ldp	x10, x11, [sp, #FRAME_X(10)]
	ldp	x8, x9, [sp, #FRAME_X(8)]
	ldp	x6, x7, [sp, #FRAME_X(6)]
	ldp	x4, x5, [sp, #FRAME_X(4)]
	ldp	x2, x3, [sp, #FRAME_X(2)]
	ldp	x0, x1, [sp, #FRAME_X(0)]
	eret
	.cfi_endproc
	endfunction vector_entry

	/* sp: the emergency frame; x0: kind; x1: this CPU's struct emergency. */
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa 31, 0
	.cfi_undefined 30
	.cfi_undefined 32
function emergency_entry
	save_x2_to_x30
	mrs	x2, tpidr_el0
	mrs	x3, tpidrro_el0
	stp	x2, x3, [sp, #FRAME_X(0)]
	/* SPSR.M[0]: the culprit ran on SP_EL1 (a handler) or on SP_EL0 (a thread, hit by FIQ). */
	ldr	x2, [x1, #EMERGENCY_SP]
	mrs	x3, sp_el0
	mrs	x4, spsr_el1
	tst	x4, #1
	csel	x2, x2, x3, ne
	str	x2, [sp, #FRAME_SP]
	save_syndrome
	cfi_frame_at_x29
	mov	x0, sp
	bl	emergency_exception
	b	last_off
	.cfi_endproc
	endfunction emergency_entry
