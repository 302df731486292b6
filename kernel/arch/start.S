/*
 * From reset to boot_main(): drop to EL1, a stack, zeroed .bss, page tables, MMU, high addresses.
 * Everything up to mmu_on's label runs at physical addresses: only PC-relative code and data there.
 */
#include "arch/asm.h"
#include "arch/cycles.h"
#include "arch/frame.h"
#include "arch/mmu.h"
#include "arch/virt.h"
#include "arch/marks.h"

#define SPSR_EL1H_MASKED 0x3c5
#define HCR_RW (1 << 31)
#define CNTHCTL_EL1_TIMER 3
#define SCTLR_EL1_RES1 0x30d00800	/* MMU and caches off */
#define SCR_RW (1 << 10)
#define ICC_SRE_ENABLE 0xf
#define PFR0_GIC 24

	/*
	 * Started at EL3 (-M virt,secure=on): QEMU then has no firmware, every CPU starts here, and nobody starts one or
	 * switches off. Only the first goes on, in secure EL1, to say so (main.c) and to end (psci.c).
	 */
.macro drop_from_el3
	mrs	x1, CurrentEL
	cmp	x1, #(3 << 2)
	b.ne	6f
	mrs	x0, mpidr_el1
	and	x0, x0, #0xffffff
4:	cbz	x0, 5f
	wfi
	b	4b
5:	mov	x0, #SCR_RW
	msr	scr_el3, x0
	msr	cptr_el3, xzr			/* trap nothing */
	msr	mdcr_el3, xzr
	ldr	x0, =SCTLR_EL1_RES1
	msr	sctlr_el1, x0
	mov	x0, #SPSR_EL1H_MASKED
	msr	spsr_el3, x0
	adr	x0, 6f
	msr	elr_el3, x0
	eret
6:
.endm

	/* Started at EL2 (-M virt,virtualization=on): give EL1 its timers and its GIC, and leave. */
.macro drop_to_el1
	drop_from_el3
	mrs	x1, CurrentEL
	cmp	x1, #(2 << 2)
	b.ne	7f
	mov	x0, #HCR_RW
	msr	hcr_el2, x0
	mov	x0, #CNTHCTL_EL1_TIMER
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	mrs	x0, id_aa64pfr0_el1
	ubfx	x0, x0, #PFR0_GIC, #4		/* 0: a GICv2, which has no system registers */
	cbz	x0, 4f
	mov	x0, #ICC_SRE_ENABLE
	msr	S3_4_C12_C9_5, x0		/* ICC_SRE_EL2 */
	isb
4:	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	mov	x0, #0x33ff			/* CPTR_EL2: trap nothing */
	msr	cptr_el2, x0
	ldr	x0, =SCTLR_EL1_RES1
	msr	sctlr_el1, x0
	mov	x0, #SPSR_EL1H_MASKED
	msr	spsr_el2, x0
	adr	x0, 7f
	msr	elr_el2, x0
	eret
7:
.endm

	/*
	 * Switch the MMU on and go on at label `high`, at its link address; the identity map goes with
	 * TTBR0. Uses no stack. Clobbers x0 to x5.
	 */
.macro mmu_on high
	adrp	x0, mmu_registers
	add	x0, x0, :lo12:mmu_registers
	ldp	x1, x2, [x0, #MMU_MAIR]
	msr	mair_el1, x1
	msr	tcr_el1, x2
	ldp	x1, x2, [x0, #MMU_TTBR0]
	msr	ttbr0_el1, x1
	msr	ttbr1_el1, x2
	ldp	x3, x4, [x0, #MMU_SCTLR]	/* and tcr_high */
	ldr	x5, =\high
	dsb	sy
	tlbi	vmalle1
	ic	iallu
	dsb	sy
	isb
	msr	sctlr_el1, x3
	isb
	br	x5
\high:
	msr	tcr_el1, x4
	msr	ttbr0_el1, xzr
	isb
	tlbi	vmalle1
	dsb	sy
	isb
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el1, x0
.endm

	/* 256 bytes at a time. The MMU is off, and with it `dc zva`. */
.macro fill from, to, word
1:
	.irp	offset, 0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240
	stp	\word, \word, [\from, #\offset]
	.endr
	add	\from, \from, #256
	cmp	\from, \to
	b.lo	1b
.endm

	/* arch/marks.h. Clobbers x2 and x3. */
.macro boot_mark mark
	mrs	x2, pmccntr_el0
	adrp	x3, boot_marks
	add	x3, x3, :lo12:boot_marks
	str	x2, [x3, #\mark * 8]
.endm

	.section .text.start, "ax"
	.cfi_startproc
	.cfi_undefined 30
function _start
	mov	x1, #PMCNTEN_CYCLES
	msr	pmcntenset_el0, x1
	mov	x1, #PMCR_ENABLE | PMCR_RESET_CYCLES | PMCR_LONG
	msr	pmcr_el0, x1			/* boot_marks begin here */
	msr	daifset, #0xf
	mov	x20, x0				/* device tree, or 0: a bare ELF finds it at DTB_BASE */
	mrs	x21, CurrentEL
	lsr	x21, x21, #2
	drop_to_el1
	adr	x0, early_vectors
	msr	vbar_el1, x0
	msr	spsel, #0			/* threads run on SP_EL0, this one included */
	adrp	x0, boot_stack_top
	mov	sp, x0
	mov	x29, xzr
	mov	x30, xzr

	adrp	x0, __bss_start
	adrp	x1, __bss_end
	add	x0, x0, :lo12:__bss_start
	add	x1, x1, :lo12:__bss_end
	fill	x0, x1, xzr
	boot_mark MARK_BSS

	/* Paint this stack before anything runs on it: its watermark tells the whole truth. */
	adrp	x0, stack_marks
	add	x0, x0, :lo12:stack_marks
	ldr	x2, [x0, #STACK_MARKS_PAINT]
	adrp	x0, boot_stack_base
	mov	x1, sp
	fill	x0, x1, x2
	boot_mark MARK_PAINT

	/* The compiler reads the canary through TPIDR_EL1 from the first C function on. */
	adrp	x0, boot_thread
	add	x0, x0, :lo12:boot_thread
	msr	tpidr_el1, x0
	sub	x0, x21, #1
	adrp	x1, psci_conduit
	str	w0, [x1, :lo12:psci_conduit]
	bl	mmu_build
	boot_mark MARK_TABLES
	mmu_on	start_high
	boot_mark MARK_HIGH

	adrp	x0, boot_stack_top
	mov	sp, x0
	adrp	x0, boot_thread
	add	x0, x0, :lo12:boot_thread
	msr	tpidr_el1, x0
	adrp	x1, irq_stack_top
	add	x0, x0, #THREAD_FRAME
	str	x1, [x0, #FRAME_IRQ_STACK_TOP]
	msr	spsel, #1
	mov	sp, x0
	msr	spsel, #0
	isb

	mov	x0, x20
	mov	x1, x21
	bl	boot_main			/* does not return */
	.cfi_endproc
	endfunction _start

	/*
	 * Where PSCI starts every other CPU, with the thread it is to run in x0 (its virtual address).
	 * No stack until then: it resumes the thread as if from an exception.
	 */
function secondary_start
	msr	daifset, #0xf
	mov	x20, x0
	drop_to_el1
	adr	x0, early_vectors
	msr	vbar_el1, x0
	mmu_on	secondary_high
	msr	spsel, #1
	add	x0, x20, #THREAD_FRAME
	b	vector_resume
	endfunction secondary_start

	/* The same for the light environment: its 1 KiB of stack and its own vectors, in enter.S. */
function light_start
	msr	daifset, #0xf
	mov	x20, x0
	drop_to_el1
	adr	x0, early_vectors
	msr	vbar_el1, x0
	mmu_on	light_high
	mov	x0, x20
	b	light_enter
	endfunction light_start
	.ltorg
