/* Translation table descriptors: stage 1, 4 KiB granule, 39-bit VA, so levels 1 to 3 (Arm ARM D5.3). */
#ifndef ARCH_DESCRIPTOR_H
#define ARCH_DESCRIPTOR_H

#include "arch/types.h"

#define ENTRIES 512
#define LEVEL_SHIFT(level) (39 - 9 * (level)) /* level 1: 30, 2: 21, 3: 12 */

#define DESC_VALID (1UL << 0)
#define DESC_TABLE (1UL << 1) /* at levels 1 and 2; at level 3 the same bit says page */
#define DESC_ATTR(n) ((uint64_t)(n) << 2)
#define DESC_USER (1UL << 6) /* AP[1]: EL0 may access it too */
#define DESC_RO (1UL << 7)
#define DESC_SHARED (3UL << 8)
#define DESC_AF (1UL << 10)
#define DESC_NOT_GLOBAL (1UL << 11) /* tagged with an ASID */
#define DESC_PXN (1UL << 53)
#define DESC_UXN (1UL << 54)
#define DESC_BORROWED (1UL << 55) /* software's own: the page is not the table's to free */
#define DESC_ADDRESS 0x0000fffffffff000UL

/* Indexes into MAIR_EL1. */
#define ATTR_DEVICE 0
#define ATTR_NORMAL 1
#define ATTR_TAGGED 2 /* reserved without FEAT_MTE2, and then in no descriptor */

#endif
