/*
 * A read-only look into a flattened device tree (Devicetree Specification 0.4, chapter 5). Pure, and
 * bounded by the blob whatever its contents say: a broken tree gives an error, never a wild read.
 */
#ifndef CORE_FDT_H
#define CORE_FDT_H

#include "arch/types.h"

struct fdt {
	const uint8_t *structure;
	const uint8_t *strings;
	size_t structure_size;
	size_t strings_size;
};

/* False if what lies at blob (at most limit bytes of it) is not a device tree. */
bool fdt_open(struct fdt *tree, const void *blob, size_t limit);

/*
 * The value of a property and its length in bytes, or NULL. Path: names from the root, apart by '/',
 * "" for the root; a name stands for "name@unit" too, first match wins.
 */
const void *fdt_property(const struct fdt *tree, const char *path, const char *name,
			 size_t *length);

/* How many nodes match the path. */
unsigned int fdt_count(const struct fdt *tree, const char *path);

/*
 * The same, and of the first `max` of them the property `name`, a number of one or two cells, in `values`,
 * in the tree's order; FDT_NONE where a node has no such number.
 */
unsigned int fdt_numbers(const struct fdt *tree, const char *path, const char *name,
			 uint64_t *values, unsigned int max);
#define FDT_NONE UINT64_MAX

/* A big-endian number of `cells` 32-bit cells at bytes. */
uint64_t fdt_cells(const void *bytes, unsigned int cells);

#endif
