/*
 * A thread's control block, as the report and GDB read it. Making, switching and ending threads is
 * proc/'s business.
 *
 * The canary must be first: -mstack-protector-guard-reg=tpidr_el1 -mstack-protector-guard-offset=0,
 * and TPIDR_EL1 is the current thread. The frame's place is vectors.S's and start.S's knowledge.
 */
#ifndef BASE_CURRENT_H
#define BASE_CURRENT_H

#include "arch/frame.h"
#include "arch/sysreg.h"
#include "arch/types.h"
#include "base/stack.h"

#define THREAD_NAME_MAX 16

enum thread_state {
	THREAD_READY,
	THREAD_RUNNING,
	THREAD_BLOCKED, /* waits for `waits_for` to end, or for tick `wake_at` */
	THREAD_EXITED,	/* by itself */
	THREAD_KILLED,	/* by fault, with on-fault=kill */
};

struct thread {
	uint64_t canary;
	struct cpu *cpu; /* the one it runs on, or ran on last */
	struct frame frame;
	uintptr_t guard0; /* a copied stack: with SP below this a prologue asks for more; 0: never */
	char name[THREAD_NAME_MAX];
	enum thread_state state;
	bool killable; /* by a fault: not the idle, boot and lab threads, which the system needs */
	const char *killed_by; /* the detector */
	struct stack stack;
	struct growth *growth; /* of a stack that grows (proc/grow.h), or NULL */
	struct thread *waits_for;
	uint64_t wake_at;	 /* tick, 0: not sleeping */
	struct thread *next;	 /* in the run queue */
	struct thread *all_next; /* in all_threads */
	struct mem_pool *home;	 /* where the object goes back to */
	/* IPC (proc/ipc.h): what it waits with, behind whom, and whom it answers next. */
	struct message *message;
	struct thread *ipc_next;
	struct thread *serving;
	struct endpoint *endpoint; /* a server's own */
	/* Of a process (proc/process.h); all 0 in a kernel thread. */
	struct process *process;
	uint64_t ttbr0;
	const struct stack *user_stack;
	struct frame *user; /* where it was at EL0, while it is in a system call */
	uintptr_t user_root; /* the frame record on the kernel stack that EL0 was entered from; 0: not yet */
	uintptr_t user_entry; /* and the address there */
};

_Static_assert(offsetof(struct thread, canary) == 0, "build.mk");
_Static_assert(offsetof(struct thread, frame) == THREAD_FRAME, "vectors.S and start.S");
_Static_assert(offsetof(struct thread, guard0) == THREAD_GUARD0, "proc/grow_check.S");

/* Every thread there is, newest first; GDB's `hw threads` walks it. */
extern struct thread *all_threads;

extern struct thread boot_thread; /* what runs from reset to sched_start(), on the boot stack */

static inline struct thread *current(void)
{
	return (struct thread *)sysreg_read(tpidr_el1);
}

#endif
