/*
 * A static ELF64 program for AArch64, looked at with suspicion. Pure: no allocation, no report, no read
 * outside of what it is given, so that it compiles for the host as well (harness/host/fuzz_elf.c).
 */
#ifndef PROC_ELF_H
#define PROC_ELF_H

#include "arch/types.h"

/* Header and program headers lie in the first bytes of the file, as every linker puts them. */
#define ELF_HEAD_BYTES 1024
#define ELF_MAX_SEGMENTS 8
#define ELF_MAX_MEMORY (1 * MiB) /* of all segments, in whole pages */

/* Where programs may lie: not the first pages (null), and below stacks and mmap regions. */
#define ELF_LOWEST 0x10000UL
#define ELF_END (1UL << 32)

enum { ELF_EXECUTE = 1, ELF_WRITE = 2, ELF_READ = 4 };

struct elf_segment {
	uintptr_t address;   /* page aligned */
	size_t memory, file; /* bytes; the rest of `memory` is zero */
	size_t offset;	     /* in the file */
	unsigned int flags;
};

struct elf_plan {
	uintptr_t entry;
	unsigned int count;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
};

/*
 * What is to be loaded of a file of `size` bytes whose first `head_size` are at `head`. NULL, or what is
 * wrong in one word. Without `strict` the rules that only keep a program honest are not asked: what the file
 * says it is, no segments, more file than memory, alignment, overlap, W^X, entry. Those that keep the kernel
 * whole always are: no read outside of what there is, no page outside of where programs may lie.
 */
const char *elf_examine(struct elf_plan *plan, const void *head, size_t head_size, size_t size,
			bool strict);

/* The function of a whole program image that contains address. False: none, or no symbol table. */
struct elf_symbol {
	const char *name; /* inside the image */
	uintptr_t address;
	size_t size; /* bytes */
};
bool elf_symbol(struct elf_symbol *found, const void *image, size_t size, uintptr_t address);

#endif
