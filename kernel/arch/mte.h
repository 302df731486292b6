/*
 * Memory tags (FEAT_MTE2, Arm ARM D6): each 16 bytes of MAP_TAGGED memory have a tag, and so has a pointer,
 * in bits 59 to 56. An access through a pointer whose tag is not the memory's faults, before it is made.
 * QEMU keeps tags with `-M virt,mte=on -cpu max`.
 */
#ifndef ARCH_MTE_H
#define ARCH_MTE_H

#include "arch/types.h"

#define MTE_GRANULE 16UL

/* Does this machine keep tags? ID_AA64PFR1_EL1.MTE says so, and a tag that was stored can be read. */
bool mte_present(void);

/*
 * Let this CPU use tags, and, with check, fault where they differ. seed is where random tags begin:
 * the same seed, the same tags. mte_present() must be true.
 */
void mte_enable(uint16_t seed, bool check);

/* The pointer to this address, with the tag that the memory has there. */
void *mte_pointer(uintptr_t address);

/*
 * How many bytes have one tag: MTE_GRANULE; or PAGE_SIZE, as QEMU 7.2 forgets where in its page an address
 * lies when it looks for the tag (allocation_tag_mem(), mended in 8.0). Tried out in the page at `page`.
 */
size_t mte_unit(uintptr_t page);

/* Which tag a pointer has, or the memory at an address. */
unsigned int mte_tag_of(const void *pointer);
unsigned int mte_tag_at(uintptr_t address);

/* A random tag, none of those in the mask (bit n: tag n). */
unsigned int mte_random_tag(uint16_t excluded);

/* Tag `bytes` bytes from an address; both multiples of the granule. */
void mte_set_tags(uintptr_t address, size_t bytes, unsigned int tag);

#endif
