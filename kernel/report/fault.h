/*
 * From an illegal act to a verdict: classify, report, then halt or kill the culprit.
 * Adding a class: its name here, its row and its rule in classify.c.
 */
#ifndef REPORT_FAULT_H
#define REPORT_FAULT_H

#include "arch/frame.h"
#include "arch/types.h"

enum fault_class {
	CLASS_OVERFLOW,
	CLASS_OVER_TOP,
	CLASS_STRAY,
	CLASS_WILD_SP,
	CLASS_MISALIGNED_SP,
	CLASS_NULL,
	CLASS_FREED,
	CLASS_TAG,
	CLASS_OBJECT_PAGE,
	CLASS_WRITE_RO,
	CLASS_EXEC_NX,
	CLASS_WILD_PC,
	CLASS_LOW_HALF,
	CLASS_FREE_PAGE,
	CLASS_UNMAPPED,
	CLASS_UNDEFINED,
	CLASS_SENTINEL,
	CLASS_CANARY,
	CLASS_SHADOW,
	CLASS_BUG,
	CLASS_BAD_SIGNATURE,
	CLASS_KERNEL_ADDRESS,
	CLASS_USER_POINTER,
	CLASS_USER_CODE,
	CLASS_HANG,
	CLASS_STALE,
	CLASS_STACK_OOM,
	CLASS_GROW_LIMIT,
	CLASS_GROW_MASKED,
	CLASS_GROW_LOCKED,
	CLASS_GROW_HANDLER,
	CLASS_UNKNOWN,
};

/* The immediates of BRK that the kernel uses; any other is CLASS_UNKNOWN. */
#define BRK_CANARY 0xca0
#define BRK_SHADOW 0x5cc
#define BRK_BUG 0xb06

/* Stop here for a reason of software's own, with a full register frame. */
#define fault_trap(number) __asm__ volatile("brk %0" ::"i"(number) : "memory")

/* [lab] enter was printed: from now on what faults is the lab's, and may be caught. */
extern bool lab_entered;

/* Should a fault end the machine (default) or, where that can be, only its thread? */
extern bool on_fault_kill;

/*
 * An exception that is nobody's business but the report's. Returns the frame to resume after a kill;
 * otherwise the machine ends.
 */
struct frame *fault(struct frame *f);

/* The same, of a class that whoever looked at it first has found: a stack that could not grow. */
struct frame *fault_as(struct frame *f, enum fault_class class);

/* The same, found by a software check, the detector, while f was interrupted. */
struct frame *fault_check(struct frame *f, enum fault_class class, const char *detector);

/* The watchdog has fired: say after how long, and end the machine. */
__attribute__((noreturn)) void fault_hang(const char *detector);

/* A fault in a handler, or the watchdog: always the end. */
__attribute__((noreturn)) void fault_emergency(struct frame *f);

struct finding;

/*
 * A lab that breaks something thousands of times has no use for as many reports. True: the current
 * thread dies as with on-fault=kill, and not a word is said. NULL: none.
 */
extern bool (*fault_expected_hook)(const struct finding *n);

/* A lab's own code inside the fault report, or inside each tick; NULL: none. */
extern void (*fault_report_hook)(void);
extern void (*tick_hook)(void);

/*
 * The same empty function is called in every fault after its records and before [end]: a debugger's
 * breakpoint there sees the whole machine as it was.
 */
void debugger_fault_hook(const struct frame *f);

#endif
