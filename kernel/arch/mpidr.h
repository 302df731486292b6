/*
 * CPUs by their affinity, MPIDR_EL1 (Arm ARM D13.2.101), and by their index, a small number. This
 * board puts 16 CPUs into a cluster: CPU i is i / 16 in Aff1 and i % 16 in Aff0. So affinities are
 * sparse, and none of them is an index.
 */
#ifndef ARCH_MPIDR_H
#define ARCH_MPIDR_H

#include "arch/types.h"
#include "arch/virt.h"

#define MPIDR_AFFINITY                                                                             \
	0xff00ffffffUL /* Aff3 to Aff0; the other bits say nothing about which CPU it is */

/* vectors.S and enter.S do the same. */
static inline unsigned int mpidr_index(uint64_t mpidr)
{
	return (unsigned int)((mpidr >> 8 & 0xf) << 4 | (mpidr & 0xf));
}

static inline uint64_t mpidr_of(unsigned int index)
{
	return (uint64_t)(index / 16) << 8 | index % 16;
}

/* Has this affinity an index of its own, below NR_CPUS? */
static inline bool mpidr_has_index(uint64_t mpidr)
{
	return mpidr_of(mpidr_index(mpidr)) == (mpidr & MPIDR_AFFINITY);
}

#endif
