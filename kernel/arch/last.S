/*
 * The report of last resort, from registers alone: no stack, no lock, no table, no memory but the
 * UART's and three words of data. Reached by a fault on the emergency stack, and by any fault before
 * the real vectors stand. It prints one [EXC] record and the [end] line, and switches the machine off.
 */
#include "arch/asm.h"
#include "arch/virt.h"

#define PSCI_SYSTEM_OFF 0x84000008

	/* Print the string at x0, to its NUL. x28: UART base, x27: return address. */
function last_puts
	ldrb	w1, [x0], #1
	cbz	w1, 1f
	str	w1, [x28]
	b	last_puts
1:	br	x27
	endfunction last_puts

	/* Print x0 as 0x and 16 digits. */
function last_hex
	mov	w1, #'0'
	str	w1, [x28]
	mov	w1, #'x'
	str	w1, [x28]
	mov	w2, #16
1:	ror	x0, x0, #60
	and	w1, w0, #0xf
	cmp	w1, #10
	add	w3, w1, #'0'
	add	w4, w1, #'a' - 10
	csel	w1, w3, w4, lo
	str	w1, [x28]
	subs	w2, w2, #1
	b.ne	1b
	br	x27
	endfunction last_hex

.macro call routine
	adr	x27, 9f
	b	\routine
9:
.endm

.macro puts label
	adr	x0, \label
	call	last_puts
.endm

.macro hex reg
	mov	x0, \reg
	call	last_hex
.endm

function last_report
	ldr	x28, =KVA_BASE + UART_BASE
	adrp	x0, on_fault_kill
	ldrb	w19, [x0, :lo12:on_fault_kill]
	adr	x20, text_double_fault
	adr	x26, text_double_fault_end
	b	last_registers
	endfunction last_report

	/* x20 ends the record, x26 is the [end] line; w19: was a kill asked for? */
function last_registers
	mrs	x21, esr_el1
	mrs	x22, elr_el1
	mrs	x23, far_el1
	mov	x24, sp
	mrs	x25, mpidr_el1
	adrp	x0, console_mid_line
	ldr	w0, [x0, :lo12:console_mid_line]
	cbz	w0, 1f
	puts	text_cut
1:	puts	text_esr
	hex	x21
	puts	text_elr
	hex	x22
	puts	text_far
	hex	x23
	puts	text_sp
	hex	x24
	puts	text_mpidr
	hex	x25
	mov	x0, x20
	call	last_puts
	cbz	w19, 2f
	puts	text_unkillable
2:	mov	x0, x26
	adr	x27, last_off
	b	last_puts
	endfunction last_registers

	/* PSCI SYSTEM_OFF (Arm DEN0022, 5.10), over the conduit that start.S noted: 0 HVC, 1 SMC. */
function last_off
	ldr	x0, =PSCI_SYSTEM_OFF
	adrp	x1, psci_conduit
	ldr	w1, [x1, :lo12:psci_conduit]
	cbnz	w1, 1f
	hvc	#0
	b	2f
1:	smc	#0
2:	wfi
	b	2b
	endfunction last_off

	/* Until start.S installs `vectors`: every slot is a fault, reported from registers. */
	.balign	0x800
function early_vectors
	.rept	16
	.balign	0x80
	b	early_fault
	.endr
	endfunction early_vectors

function early_fault
	mrs	x0, sctlr_el1
	ldr	x28, =UART_BASE
	ldr	x1, =KVA_BASE
	tst	x0, #1
	csel	x1, x1, xzr, ne
	add	x28, x28, x1
	mov	w19, wzr
	adr	x20, text_early
	adr	x26, text_early_end
	b	last_registers
	endfunction early_fault

	.ltorg
text_cut:	.asciz	"~\n"
text_esr:	.asciz	"[EXC] last esr="
text_elr:	.asciz	" raw=elr:"
text_far:	.asciz	",far:"
text_sp:	.asciz	",sp:"
text_mpidr:	.asciz	",mpidr:"
text_double_fault:
	.asciz	" : a fault on the emergency stack; from registers alone\n"
text_double_fault_end:
	.asciz	"[end] double-fault by=last-report\n"
text_early:
	.asciz	" : a fault before the vectors stood\n"
text_early_end:
	.asciz	"[end] panic why=early-fault\n"
text_unkillable:
	.asciz	"[EXC] unkillable stack=emergency : only a thread of its own can be killed\n"
	.balign	4
