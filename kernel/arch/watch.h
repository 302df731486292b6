/*
 * A hardware watchpoint (Arm ARM D2.10). As a guard: where stacks lie side by side in one page, the
 * MMU can keep none from the next, but each CPU has watchpoints of its own, and one of them can
 * cover the neighbour. Or to be called between a load and the store that follows it. The access
 * traps before it is made (EC 0x35).
 */
#ifndef ARCH_WATCH_H
#define ARCH_WATCH_H

#include "arch/types.h"

enum watch_kind { WATCH_STORES = 2, WATCH_ACCESSES = 3 }; /* DBGWCR<n>_EL1.LSC */

/*
 * From now on this CPU traps at EL1 when it stores to these bytes, or loads from them as well: 8 to
 * 32 KiB, a power of two, aligned.
 */
void watch_arm(uintptr_t base, size_t bytes, enum watch_kind kind);
void watch_disarm(void);

/*
 * A lab's own code, called where a watchpoint has trapped, on the exception stack: the watchpoint is
 * disarmed, and the access is made afterwards. NULL: a watchpoint is a guard, and it was a fault.
 */
extern void (*watch_hook)(void);

#endif
