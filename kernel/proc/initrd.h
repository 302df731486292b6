/* Where programs come from: QEMU's -initrd, or the archive that is linked into the image. */
#ifndef PROC_INITRD_H
#define PROC_INITRD_H

#include "proc/cpio.h"

/* Use this archive instead of the image's own; a broken one ends the boot: bad-args why=initrd-… */
void initrd_use(const void *archive, size_t bytes);

/* Show other bytes under a file's name, or with NULL its own again. For labs: one file at a time. */
void initrd_replace(const char *name, const void *data, size_t bytes);

/* The index-th file; or the one of that name: its index, -1 if there is none. */
bool initrd_file(struct cpio_file *file, unsigned int index);
int initrd_find(struct cpio_file *file, const char *name);

#endif
