/* See least.h: the least that each job takes. A group of instructions, and what it is for. */
#include "arch/asm.h"
#include "arch/frame.h"
#include "labs/cost/least.h"

#define EC_SVC64 0x15
#define USER_MODE 0xc			/* SPSR.M[3:2]: 0 at EL0; what is tested is EL1's 1 */

	.section .text, "ax"

/* --- pools ------------------------------------------------------------------------------------------- */

	/* The list's head leads to \next: opened by both keys, and the two must agree. Keys: x6, x7; place: x4. */
.macro open_head next
	add	x4, x0, #POOL_FREE_LIST
	ldp	\next, x9, [x4]
	ldp	x6, x7, [x0, #POOL_KEY]
	eor	\next, \next, x6
	eor	\next, \next, x4
	eor	x9, x9, x7
	eor	x9, x4, x9, ror #29
	cmp	\next, x9
	b.ne	9f
.endm

	/* A link at \place that leads to \next, into \memory. */
.macro seal memory, place, next
	eor	x9, \next, \place
	eor	x10, x9, x6
	eor	x11, x7, x9, ror #35
	stp	x10, x11, [\memory]
.endm

	/* From \at, which moves, to \end every pair of words is x10. */
.macro pairs_are at, end
1:	ldp	x11, x12, [\at], #16
	cmp	x11, x10
	ccmp	x12, x10, #0, eq
	b.ne	9f
	cmp	\at, \end
	b.lo	1b
.endm

	/* x13 is the record of the block at \block: how many strides from the first, with no division. */
.macro record_of block
	ldp	x9, x10, [x0, #POOL_BASE]
	ldr	w11, [x0, #POOL_SHIFT]
	sub	x9, \block, x9
	mul	x9, x9, x10
	ror	x9, x9, x11
	ldp	x10, x13, [x0, #POOL_CAPACITY]
	cmp	x9, x10
	b.hs	9f
	add	x9, x9, x9, lsl #1		/* times BLOCK_RECORD_SIZE */
	add	x13, x13, x9, lsl #3
.endm

	/* Is this check on? x8: protect_off. */
.macro expect_on which
	ldrb	w9, [x8, #\which]
	cbnz	w9, 9f
.endm

	/* Is the ledger closed, and no fault to be injected here? */
.macro expect_clear flag
	adrp	x9, \flag
	ldrb	w9, [x9, :lo12:\flag]
	cbnz	w9, 9f
.endm

	.cfi_startproc
function least_pool_alloc
	expect_clear least_armed
	mrs	x2, daif			/* nobody in between */
	msr	daifset, #2
	adrp	x8, protect_off
	add	x8, x8, :lo12:protect_off
	expect_on OFF_POOL_LINK
	open_head x3
	cbz	x3, 9f				/* the pool is empty */
	ldr	x9, [x0, #POOL_MODE]		/* its blocks lie elsewhere */
	cbnz	x9, 9f
	ldp	x5, x9, [x3]			/* the block's own link, opened likewise */
	eor	x5, x5, x6
	eor	x5, x5, x3
	eor	x9, x9, x7
	eor	x9, x3, x9, ror #29
	cmp	x5, x9
	b.ne	9f
	seal	x4, x4, x5			/* and off the list */
	expect_on OFF_POISON
	ldp	x9, x14, [x0, #POOL_SIZE]	/* whole pairs of words */
	cmp	x9, x14
	b.ne	9f
	mov	w10, #0x6b6b
	movk	w10, #0x6b6b, lsl #16
	orr	x10, x10, x10, lsl #32
	add	x14, x3, x14
	add	x15, x3, #16			/* behind the link */
	pairs_are x15, x14
	record_of x3
	mov	w9, #STATE_USED
	str	x30, [x13, #BLOCK_ALLOCATED_BY]
	str	w9, [x13, #BLOCK_STATE]
	ldp	x9, x10, [x0, #POOL_IN_USE]	/* in_use and its peak */
	add	x9, x9, #1
	cmp	x9, x10
	csel	x10, x9, x10, hi
	stp	x9, x10, [x0, #POOL_IN_USE]
	ldr	x9, [x0, #POOL_ALLOCS]
	add	x9, x9, #1
	str	x9, [x0, #POOL_ALLOCS]
	msr	daif, x2
	expect_clear ledger_is_open
	mov	x0, x3
	ret
9:	brk	#0
	b	9b
	.cfi_endproc
	endfunction least_pool_alloc

	.cfi_startproc
function least_pool_free
	mrs	x2, daif
	msr	daifset, #2
	ldr	x9, [x0, #POOL_MODE]
	cbnz	x9, 9f
	record_of x1				/* a block of this pool's, from its first byte */
	ldr	w9, [x13, #BLOCK_STATE]		/* and in use */
	cmp	w9, #STATE_USED
	b.ne	9f
	expect_clear ledger_is_open
	adrp	x8, protect_off
	add	x8, x8, :lo12:protect_off
	expect_on OFF_REDZONE
	ldp	x9, x14, [x0, #POOL_SIZE]
	cmp	x9, x14
	b.ne	9f
	add	x14, x1, x14			/* the block's end */
	ldp	x15, x16, [x0, #POOL_BEFORE]
	sub	x15, x1, x15
	mov	x10, #0xfdfdfdfdfdfdfdfd
	pairs_are x15, x1			/* the zone before the block */
	mov	x15, x14
	add	x16, x14, x16
	pairs_are x15, x16			/* and the one behind it */
	str	x30, [x13, #BLOCK_FREED_BY]
	str	wzr, [x13, #BLOCK_STATE]
	ldr	x9, [x0, #POOL_IN_USE]
	ldr	x10, [x0, #POOL_FREES]
	sub	x9, x9, #1
	add	x10, x10, #1
	str	x9, [x0, #POOL_IN_USE]
	str	x10, [x0, #POOL_FREES]
	expect_on OFF_POOL_LINK
	open_head x3
	expect_on OFF_POISON
	mov	w10, #0x6b6b
	movk	w10, #0x6b6b, lsl #16
	orr	x10, x10, x10, lsl #32
	add	x15, x1, #16
1:	stp	x10, x10, [x15], #16
	cmp	x15, x14
	b.lo	1b
	seal	x1, x1, x3			/* the block leads to what was first */
	seal	x4, x4, x1			/* and the head to the block */
	msr	daif, x2
	mov	w0, #0
	ret
9:	brk	#0
	b	9b
	.cfi_endproc
	endfunction least_pool_free

/* --- first fit --------------------------------------------------------------------------------------- */

	.cfi_startproc
function least_heap_alloc
	mov	x2, x30				/* who asks: in the record, from heap_alloc on */
	expect_clear least_armed
	ldp	x3, x4, [x0, #HEAP_BASE]	/* base and size */
	cmp	x1, x4
	b.hi	9f
	cbz	x1, 9f
	add	x5, x1, #15			/* rounded up */
	and	x5, x5, #~15
	add	x4, x3, x4			/* the heap's end */
	ldr	x13, [x0, #HEAP_RECORDS]
	adrp	x8, protect_off
	add	x8, x8, :lo12:protect_off
	expect_on OFF_HEAP_CHECK
	mov	x6, x3
	mov	x7, #1
	mov	x14, #HEAP_FIRST		/* what is before the header at x6 */
1:	ldr	w11, [x13]
	ldp	x9, x10, [x6]			/* is it as its record says? */
	cmp	x9, x11
	ccmp	x10, x14, #0, eq
	b.ne	9f
	tbnz	w11, #0, 2f			/* free, and large enough? */
	cmp	x11, x5
	b.hs	3f
2:	and	x14, x11, #~HEAP_USED		/* then the one after it */
	add	x10, x14, #16
	add	x6, x6, x10
	add	x13, x13, x10, lsr #1
	cmp	x6, x4
	b.hs	9f
	add	x7, x7, #1
	b	1b
3:	str	x7, [x0, #HEAP_STEPS]
	sub	x9, x11, x5			/* what is left can hold something */
	cmp	x9, #32
	b.lo	9f
	sub	x9, x9, #16
	add	x10, x6, x11			/* the header after it, if there is one, is as it should be */
	add	x10, x10, #16
	cmp	x10, x4
	b.lo	9f
	orr	x11, x5, #HEAP_USED
	str	x11, [x6], #16
	add	x10, x6, x5			/* a block of its own: its size, and ours before it */
	stp	x9, x5, [x10]
	add	x10, x5, #16			/* both records */
	add	x10, x13, x10, lsr #1
	str	w9, [x10]
	adrp	x9, heap_alloc
	add	x9, x9, :lo12:heap_alloc
	sub	x9, x2, x9
	stp	w11, w9, [x13]
	ldr	x9, [x0, #HEAP_ALLOCS]
	add	x9, x9, #1
	str	x9, [x0, #HEAP_ALLOCS]
	expect_clear ledger_is_open
	mov	x0, x6
	ret
9:	brk	#0
	b	9b
	.cfi_endproc
	endfunction least_heap_alloc

/* --- the tick's check of the thread that it interrupted ----------------------------------------------- */

	/* Of the thread in x0: SP within its stack and its guards, and aligned; guard words whole. */
.macro check_thread
	ldr	x9, [x0, #THREAD_FRAME + FRAME_SPSR]
	tst	x9, #USER_MODE			/* not at EL0 */
	b.eq	9f
	adrp	x8, protect_off
	add	x8, x8, :lo12:protect_off
	expect_on OFF_SP_CHECK
	ldr	x2, [x0, #THREAD_FRAME + FRAME_SP]
	ldp	x3, x4, [x0, #THREAD_STACK_BASE]
	ldp	x6, x7, [x0, #THREAD_STACK_VIEW]	/* and room */
	ldr	x5, [x0, #THREAD_STACK_GUARD]
	sub	x9, x3, x7			/* the lower guard's start */
	sub	x9, x9, x5
	sub	x9, x2, x9
	add	x10, x4, x5, lsl #1		/* and the bytes from there to the upper one's end */
	add	x10, x10, x7
	cmp	x9, x10
	b.hi	9f
	tst	x2, #15
	b.ne	9f
	expect_on OFF_SENTINEL
	cbnz	x7, 9f				/* it could still grow: there are no guard words yet */
	add	x3, x3, x6
	adrp	x8, stack_marks
	add	x8, x8, :lo12:stack_marks
	ldp	x4, x5, [x8]
	ldp	x6, x7, [x8, #16]
	ldp	x9, x10, [x3]
	ldp	x11, x12, [x3, #16]
	cmp	x4, x9
	ccmp	x5, x10, #0, eq
	ccmp	x6, x11, #0, eq
	ccmp	x7, x12, #0, eq
	b.ne	9f
.endm

	.cfi_startproc
function least_check
	check_thread
	mov	x0, #0				/* nothing to say */
	ret
9:	brk	#0
	b	9b
	.cfi_endproc
	endfunction least_check

/* --- a watermark's scan -------------------------------------------------------------------------------- */

	/* One load for each 16 bytes, one branch for each 64. */
	.cfi_startproc
function least_scan
	ldr	x2, [x0, #16]
	ldp	x0, x1, [x0]
	mov	x3, x0
1:	ldp	x4, x5, [x0]
	ldp	x6, x7, [x0, #16]
	ldp	x8, x9, [x0, #32]
	ldp	x10, x11, [x0, #48]
	cmp	x4, x2
	ccmp	x5, x2, #0, eq
	ccmp	x6, x2, #0, eq
	ccmp	x7, x2, #0, eq
	ccmp	x8, x2, #0, eq
	ccmp	x9, x2, #0, eq
	ccmp	x10, x2, #0, eq
	ccmp	x11, x2, #0, eq
	b.ne	2f
	add	x0, x0, #64
	cmp	x0, x1
	b.lo	1b
2:	sub	x0, x0, x3
	ret
	.cfi_endproc
	endfunction least_scan

/* --- exceptions ---------------------------------------------------------------------------------------- */

	/*
	 * arch/vectors.S's frame with nothing paid for being one entry of many: the kind is known, and SP goes
	 * with x30. Everything is restored from the frame that the handler returns, which may be another's.
	 */
.macro least_entry handler
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
	mrs	x1, sp_el0
	stp	x30, x1, [sp, #FRAME_X(30)]
	mrs	x1, elr_el1			/* what came, and where */
	mrs	x2, spsr_el1
	stp	x1, x2, [sp, #FRAME_ELR]
	stp	x29, x1, [sp, #FRAME_RECORD]	/* a frame record, for whoever walks */
	mrs	x1, esr_el1
	mrs	x2, far_el1
	stp	x1, x2, [sp, #FRAME_ESR]
	str	xzr, [sp, #FRAME_KIND]		/* KIND_SYNC */
	add	x29, sp, #FRAME_RECORD
	mov	x0, sp
	ldr	x1, [sp, #FRAME_IRQ_STACK_TOP]	/* the CPU's own stack; the watchdog may interrupt */
	mov	sp, x1
	msr	daifclr, #1
	bl	\handler
	msr	daifset, #1
	mov	sp, x0
	sub	x1, x0, #THREAD_FRAME		/* the current thread */
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
.endm

	/* A slot holds 32 instructions, and an entry is longer; the other fifteen slots are the kernel's. */
.macro least_table name, handler
	.balign	0x800
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa 31, 0
	.cfi_undefined 30
	.cfi_undefined 32
\name:	stp	x0, x1, [sp, #FRAME_X(0)]
	b	\name\()_entry
	.irp	slot, 0x080,0x100,0x180,0x200,0x280,0x300,0x380,0x400,0x480,0x500,0x580,0x600,0x680,0x700,0x780
	.org	\name + \slot
	b	vectors + \slot
	.endr
	.balign	0x80
\name\()_entry:
	least_entry \handler
	.global	\name
	.type	\name, %function
	.cfi_endproc
	endfunction \name
.endm

	.section .text.least_vectors, "ax"
	least_table least_vectors_same, least_same
	least_table least_vectors_yield, least_yield

	.section .text, "ax"
	.cfi_startproc
function least_same
	ret
	.cfi_endproc
	endfunction least_same

	/* x0: the frame of the thread that gives way. */
	.cfi_startproc
function least_yield
	adrp	x9, user_tables_on		/* there are no processes */
	ldrb	w9, [x9, :lo12:user_tables_on]
	cbnz	w9, 9f
	ldr	x9, [x0, #FRAME_KIND]		/* an svc, and which */
	cbnz	x9, 9f
	ldr	x9, [x0, #FRAME_ESR]
	lsr	x10, x9, #26
	cmp	x10, #EC_SVC64
	b.ne	9f
	and	w9, w9, #0xffff
	cbnz	w9, 9f				/* SVC_YIELD */
	mrs	x0, tpidr_el1
	ldr	x1, [x0, #THREAD_CPU]
	ldr	w9, [x1, #CPU_INDEX]		/* other CPUs have one thread each */
	cbnz	w9, 9f
	ldr	w9, [x0, #THREAD_STATE]
	cmp	w9, #STATE_RUNNING
	b.ne	9f
	check_thread
	ldr	x9, [x1, #CPU_IDLE]
	cmp	x9, x0
	b.eq	9f
	str	wzr, [x0, #THREAD_STATE]	/* STATE_READY, last of the queue */
	str	xzr, [x0, #THREAD_NEXT]
	adrp	x8, least_queue
	add	x8, x8, :lo12:least_queue
	ldp	x9, x10, [x8]
	cbz	x9, 9f
	str	x0, [x10, #THREAD_NEXT]
	ldr	x10, [x9, #THREAD_NEXT]		/* and the first of it runs */
	stp	x10, x0, [x8]
	mov	w10, #STATE_RUNNING
	str	x1, [x9, #THREAD_CPU]
	str	w10, [x9, #THREAD_STATE]
	ldr	x10, [x1, #CPU_IRQ_STACK_TOP]
	str	x10, [x9, #THREAD_FRAME + FRAME_IRQ_STACK_TOP]
	add	x0, x9, #THREAD_FRAME
	ret
9:	brk	#0
	b	9b
	.cfi_endproc
	endfunction least_yield

	.comm	least_armed, 1, 1
	.comm	least_queue, 16, 8
