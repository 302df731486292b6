/*
 * A hardware watchpoint as a guard (Arm ARM D2.10): where stacks lie side by side in one page, the
 * MMU can keep none from the next, but each CPU has watchpoints of its own, and one of them can
 * cover the neighbour. The access traps before it is made (EC 0x35).
 */
#ifndef ARCH_WATCH_H
#define ARCH_WATCH_H

#include "arch/types.h"

/*
 * From now on this CPU traps at EL1 when it loads from or stores to these bytes: 8 to 32 KiB, a
 * power of two, aligned.
 */
void watch_arm(uintptr_t base, size_t bytes);
void watch_disarm(void);

#endif
