/*
 * What the lower layers call in those above them: the whole list. proc/'s take and return what
 * exception_entry() resumes: the register frame of a thread.
 */
#ifndef REPORT_UPCALL_H
#define REPORT_UPCALL_H

#include "arch/frame.h"
#include "report/format.h"

/* One tick went by: the frame to resume, of the same thread or of another. */
struct frame *sched_tick(void);

/* The current thread gives way (svc): it waits, sleeps, ended, or only yields. */
struct frame *sched_switch(void);

/* Sleep, on the CPU's idle thread, until the tick after next has just come. */
void sched_align(void);

/* A data abort of the current thread: the frame to resume if its stack has grown, NULL if it is no such. */
struct frame *grow_fault(struct frame *f);

/* SVC_GROW, SVC_SHRINK: the thread's prologue asks for a larger stack, or a safe point for a smaller one. */
struct frame *grow_call(struct frame *f);

/* The current thread is the culprit of a fault: end it, resume another. */
struct frame *sched_kill(const char *detector);

/* EL0 asked for something (svc): the frame to resume, that of the system call itself. */
struct frame *user_system_call(struct frame *f);

/* A kernel thread asks to go to EL0, for the first time or back again (arch/user.h). */
struct frame *user_resume(struct frame *f, unsigned int what);

/*
 * The kernel's address of a word that EL0 of the current thread's process may read at va; NULL if there
 * is none. Good to the end of its page. Needs no memory: for reports.
 */
const void *user_view(uintptr_t va);

/* The function of the current thread's program that contains va, and the program's name; or false. */
struct symbol;
bool user_symbol(uintptr_t va, struct symbol *found, const char **program);

/* mem/'s: do a pool's blocks, of those with pages or tags of their own, or what is around them, lie here? */
bool pool_window_has(uintptr_t address);

/* Then, the place by name: pool:NAME[BLOCK]+0x40. False if there is none. */
bool pool_window_name(struct text *t, uintptr_t address);
/* The return address of the call that freed the page around this address; 0: it is no free page. */
uintptr_t page_freed_by(uintptr_t address);

#endif
