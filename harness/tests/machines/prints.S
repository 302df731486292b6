// Well-behaved: prints three lines and powers off. Also what GDB is tried on: step() is called three times.
#include "machine.h"
	.globl	main, step, counter
	.type	_start, %function
	.type	main, %function
	.type	step, %function
	.type	counter, %object
main:
	.cfi_startproc
	.cfi_undefined 30
	mov	x19, #3
1:	bl	step
	subs	x19, x19, #1
	b.ne	1b
	power_off
	.cfi_endproc
	.size	main, . - main

step:
	.cfi_startproc
	stp	x29, x30, [sp, #-16]!
	.cfi_def_cfa_offset 16
	.cfi_offset 29, -16
	.cfi_offset 30, -8
	adr	x0, counter
	ldr	x1, [x0]
	add	x1, x1, #1
	str	x1, [x0]
	and	w1, w1, #7
	add	w1, w1, #'0'
	adr	x0, digit
	strb	w1, [x0]
	print	line
	ldp	x29, x30, [sp], #16
	.cfi_restore 29
	.cfi_restore 30
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
	.size	step, . - step

	.data
line:	.ascii	"[step] n="
digit:	.asciz	"0\n"
	.balign	8
counter: .quad	0
	.size	counter, 8
