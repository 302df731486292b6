/*
 * Between EL0 and EL1. Both ways go through SVC and exception_entry(), which keeps the frames: a thread
 * has one for where it runs now (SP_EL1 rests there, vectors.S) and, while it is in a system call, one
 * more for where it was at EL0 (user.h).
 */
#include "arch/asm.h"
#include "arch/frame.h"

	.section .text, "ax"

	/*
	 * On the kernel stack's top, x0 and x29 set by proc/process.c: the user frame, and its record. So a
	 * walk of frame records goes on at EL0, and GDB finds the registers where vectors.S left them.
	 */
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa 29, FRAME_SIZE - FRAME_RECORD
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	.cfi_offset \n, FRAME_X(\n) - FRAME_SIZE
	.endr
	.cfi_offset 32, FRAME_ELR - FRAME_SIZE
function syscall_start
	nop					/* GDB looks a frame up one byte before its return address */
	bl	system_call
	svc	#SVC_RETURN			/* nobody returns here */
	b	.
	.cfi_endproc
	endfunction syscall_start

	/* x0: struct frame for EL0. A record of its own, as this is where EL0's backtrace goes on. */
	.cfi_startproc
function user_enter
	stp	x29, x30, [sp, #-16]!
	.cfi_def_cfa_offset 16
	.cfi_offset 29, -16
	.cfi_offset 30, -8
	mov	x29, sp
	svc	#SVC_ENTER_USER			/* nobody returns here */
	b	.
	.cfi_endproc
	endfunction user_enter
