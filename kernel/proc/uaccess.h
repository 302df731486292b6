/*
 * The only way from the kernel to a process's memory and back: each page is looked up in the process's own
 * tables, as EL0 would see it, and gone to by the kernel's address of it. No pointer of a process is ever
 * followed, so none can fault.
 */
#ifndef PROC_UACCESS_H
#define PROC_UACCESS_H

#include "proc/process.h"

/* False, and a part may be copied: EL0 may not read (or write) all of it. */
bool user_copy_in(struct process *p, void *to, uintptr_t from, size_t bytes);
bool user_copy_out(struct process *p, uintptr_t to, const void *from, size_t bytes);

#endif
