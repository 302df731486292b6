// A lab with one parameter: prints it, passes the fault hook, and powers off. GDB writes it and looks.
#include "machine.h"
	.globl	main, lab_test_poked, debugger_fault_hook, test_poked_args
	.type	main, %function
	.type	lab_test_poked, %function
	.type	debugger_fault_hook, %function
	.type	test_poked_args, %object
main:
	bl	lab_test_poked
	bl	debugger_fault_hook
	power_off
	.size	main, . - main
lab_test_poked:
	adr	x0, test_poked_args
	ldr	x1, [x0]
	add	w1, w1, #'0'
	adr	x0, digit
	strb	w1, [x0]
	mov	x19, x30
	print	line
	ret	x19
	.size	lab_test_poked, . - lab_test_poked
debugger_fault_hook:
	ret
	.size	debugger_fault_hook, . - debugger_fault_hook

	.data
line:	.ascii	"[lab] enter past="
digit:	.asciz	"0\n"
	.balign	8
test_poked_args: .quad	1
	.size	test_poked_args, 8
