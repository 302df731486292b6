/*
 * The register frame of an exception: one in every thread's control block, one on each emergency
 * stack. vectors.S writes it by these offsets; C and GDB read the struct.
 */
#ifndef ARCH_FRAME_H
#define ARCH_FRAME_H

#define FRAME_X(n) ((n)*8)
#define FRAME_SP 248
#define FRAME_ELR 256
#define FRAME_SPSR 264
#define FRAME_ESR 272
#define FRAME_FAR 280
#define FRAME_RECORD 288
#define FRAME_KIND 304
#define FRAME_IRQ_STACK_TOP 312
#define FRAME_SIZE 320

/* frame.kind: which vector was taken. */
#define KIND_SYNC 0
#define KIND_IRQ 1
#define KIND_FIQ 2
#define KIND_SERROR 3

/* Where struct thread (base/current.h) keeps its frame; its first word is the canary (build.mk). */
#define THREAD_FRAME 16
#define THREAD_GUARD0 (THREAD_FRAME + FRAME_SIZE)

/* The immediates of SVC from EL1. */
#define SVC_YIELD 0
#define SVC_GROW 1 /* x10: bytes wanted below SP, and then the guard */
#define SVC_ENTER_USER                                                                             \
	3 /* x0: the user frame to go on with; what called it is the root of EL0's walk */
#define SVC_RETURN 4 /* a system call is done: go on at EL0 */
#define SVC_SHRINK 2 /* halve the stack if under a quarter of it is used */

/* Where struct stack_marks (base/stack.h) keeps the paint. */
#define STACK_MARKS_PAINT 32

/* What the emergency vector needs before it has a stack: one of these per CPU. */
#define EMERGENCY_LEVEL 0
#define EMERGENCY_FRAME 8
#define EMERGENCY_SP 16
#define EMERGENCY_SHIFT 5

#ifndef __ASSEMBLER__

#include "arch/types.h"

struct frame {
	uint64_t x[31];
	uint64_t sp; /* of the interrupted context: SP_EL0, or SP_EL1 in an emergency */
	uint64_t elr;
	uint64_t spsr;
	uint64_t esr;
	uint64_t far;
	uint64_t record[2]; /* {x29, elr}: a frame record, so that a walk goes on past the exception */
	uint64_t kind;	    /* KIND_… */
	uint64_t irq_stack_top; /* the stack its handler takes; unused in an emergency frame */
};

struct emergency {
	uint64_t level; /* emergencies taken on this CPU: 1 has a stack, 2 has none, 3 is cut off */
	uint64_t frame; /* where level 1 writes its frame, atop the emergency stack; 0: below SP */
	uint64_t sp;	/* SP_EL1 when it was taken */
	uint64_t unused; /* to a power of two: vectors.S shifts */
};

_Static_assert(offsetof(struct frame, sp) == FRAME_SP, "vectors.S");
_Static_assert(offsetof(struct frame, elr) == FRAME_ELR, "vectors.S");
_Static_assert(offsetof(struct frame, spsr) == FRAME_SPSR, "vectors.S");
_Static_assert(offsetof(struct frame, esr) == FRAME_ESR, "vectors.S");
_Static_assert(offsetof(struct frame, far) == FRAME_FAR, "vectors.S");
_Static_assert(offsetof(struct frame, record) == FRAME_RECORD, "vectors.S");
_Static_assert(offsetof(struct frame, kind) == FRAME_KIND, "vectors.S");
_Static_assert(offsetof(struct frame, irq_stack_top) == FRAME_IRQ_STACK_TOP, "vectors.S");
_Static_assert(sizeof(struct frame) == FRAME_SIZE && FRAME_SIZE % 16 == 0, "vectors.S");
_Static_assert(offsetof(struct emergency, level) == EMERGENCY_LEVEL, "vectors.S");
_Static_assert(offsetof(struct emergency, frame) == EMERGENCY_FRAME, "vectors.S");
_Static_assert(offsetof(struct emergency, sp) == EMERGENCY_SP, "vectors.S");
_Static_assert(sizeof(struct emergency) == 1 << EMERGENCY_SHIFT, "vectors.S");

/* Indexed by cpu_index(); lives apart from struct cpu so that a broken one cannot hide it. */
extern struct emergency emergency[];

#endif
#endif
