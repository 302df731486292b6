/*
 * A cpio archive, "newc" (070701): what Linux calls an initrd. Pure, and bounded by its size whatever it
 * says, so that it compiles for the host as well (harness/host/fuzz_cpio.c). Regular files only; several archives
 * one after the other are one, and all names of a file have its data.
 */
#ifndef PROC_CPIO_H
#define PROC_CPIO_H

#include "arch/types.h"

struct cpio_file {
	const char *name; /* in the archive, ends with NUL */
	const void *data;
	size_t size; /* bytes */
};

/* NULL, or what is wrong with the archive in one word. It must be read to its trailer, and only NULs be left. */
const char *cpio_check(const void *archive, size_t size);

/* The index-th regular file, from 0. False: there are fewer. The archive has been checked. */
bool cpio_file(struct cpio_file *file, const void *archive, size_t size, unsigned int index);

/* The last file of that name: its index, or -1. */
int cpio_find(struct cpio_file *file, const void *archive, size_t size, const char *name);

#endif
