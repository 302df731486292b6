/* Any address as a name that no link order changes. */
#ifndef REPORT_WHERE_H
#define REPORT_WHERE_H

#include "report/format.h"
#include "base/stack.h"

/* Code: function+offset; a return address is looked up one byte earlier. Else as where_any. */
void where_code(struct text *t, uintptr_t address, bool is_return);

/* thread:victim-0x10, irq:cpu0+0x3f80, recurse+0x2c, null+0x8, poison+0x18, pool:parts[3]+0x40, rodata, data, ram, device, unmapped. */
void where_any(struct text *t, uintptr_t address);

/*
 * An SP, by its own stack while it lies there or in its guards: an empty stack's SP is its top, which
 * where_any() would give to the neighbour above.
 */
void where_sp(struct text *t, const struct stack *own, uintptr_t sp);

/* Whose EL0 addresses are meant; NULL: the current thread's. For a walk across IPC. */
struct thread;
extern const struct thread *where_subject;

/* Is this an address of the kernel's own code? */
bool where_is_text(uintptr_t address);

#endif
