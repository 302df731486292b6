/* In the place of kernel/arch/mmu.h on the host: a hidden page is one that AddressSanitizer refuses. */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include <sanitizer/asan_interface.h>

#include "arch/types.h"
#include "arch/virt.h"

enum map_kind { MAP_DATA, MAP_TAGGED };

#define MMU_BLOCK_SIZE (2 * MiB)

/* Hardware would read the table there: it must be a page, and nobody else's. */
static inline void mmu_hide_page(uintptr_t va, void *table)
{
	*(volatile char *)table = 0;
	__asan_poison_memory_region((void *)va, PAGE_SIZE);
}

static inline void mmu_show_page(uintptr_t va)
{
	__asan_unpoison_memory_region((void *)va, PAGE_SIZE);
}

#endif
