/*
 * Translation tables: stage 1, 4 KiB granule, 39-bit VA, TTBR1 (Arm ARM D5).
 *
 * mmu_build() is start.S's; everybody else maps and unmaps pages.
 * Sizes are bytes and addresses are page aligned unless said otherwise.
 */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

/* struct mmu_registers, for start.S. */
#define MMU_MAIR 0
#define MMU_TTBR0 16
#define MMU_SCTLR 32

#ifndef __ASSEMBLER__

#include "arch/types.h"
#include "arch/virt.h"

enum map_kind {
	MAP_TEXT,   /* RX */
	MAP_RODATA, /* RO, never executed */
	MAP_DATA,   /* RW, never executed */
	MAP_TAGGED, /* as data, and its tags are checked (FEAT_MTE2; arch/mte.h) */
	MAP_DEVICE, /* RW, nGnRnE, never executed */
};

#define phys_to_virt(pa) ((void *)((uintptr_t)(pa) + KVA_BASE))
#define virt_to_phys(va) ((uintptr_t)(va)-KVA_BASE)

/* 0, or -1 when no translation table is left; a part may then be mapped. The range must be unmapped. */
int mmu_map(uintptr_t va, uintptr_t pa, size_t size, enum map_kind kind);

/* Pages that are not mapped are passed over. Blocks are not split: only what was mapped by pages. */
void mmu_unmap(uintptr_t va, size_t size);

/*
 * One page of memory that mmu_map() mapped, away and back. A block of MMU_BLOCK_SIZE that it lies in is
 * split first; then `table`, a page of its own for each block, becomes the block's table.
 */
#define MMU_BLOCK_SIZE (2 * MiB)
void mmu_hide_page(uintptr_t va, void *table);
void mmu_show_page(uintptr_t va);

/* The descriptor that translates va, 0 where there is none; *level (may be NULL) tells where the walk ended. */
uint64_t mmu_descriptor(uintptr_t va, unsigned int *level);

/* The physical address of a mapped page of the stack window, 0 if unmapped. */
uintptr_t mmu_page_of(uintptr_t va);

/* Where it is noted how many tables are taken: for a lab that stops a CPU there. */
uintptr_t mmu_tables_used_address(void);

/* Can EL1 read (or, with write, write) this address? Asked of the MMU itself (AT S1E1R/W). */
bool mmu_accessible(uintptr_t va, bool write);

/* What start.S loads, in this order, to switch the MMU on; then tcr_high, once it runs high. */
struct mmu_registers {
	uint64_t mair, tcr, ttbr0, ttbr1, sctlr, tcr_high;
};
extern struct mmu_registers mmu_registers;

_Static_assert(offsetof(struct mmu_registers, mair) == MMU_MAIR, "start.S");
_Static_assert(offsetof(struct mmu_registers, ttbr0) == MMU_TTBR0, "start.S");
_Static_assert(offsetof(struct mmu_registers, sctlr) == MMU_SCTLR, "start.S");

#endif
#endif
