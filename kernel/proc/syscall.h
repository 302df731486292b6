/* System calls: from EL0 to the kernel stack of the caller's thread, and back. Numbers: proc/abi.h. */
#ifndef PROC_SYSCALL_H
#define PROC_SYSCALL_H

#include "arch/frame.h"

/* user.S calls it, on the kernel stack: reads the call out of the frame, writes its result into it. */
void system_call(struct frame *user);

/* SYS_DIVE: a lab's own code on the kernel stack; NULL: ERROR_NUMBER. */
extern int64_t (*syscall_dive_hook)(uint64_t bytes);

#endif
