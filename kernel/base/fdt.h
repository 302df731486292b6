/*
 * A read-only look into a flattened device tree (Devicetree Specification 0.4, chapter 5). Pure, and
 * bounded by the blob whatever its contents say: a broken tree gives fewer answers, never a wild read.
 */
#ifndef BASE_FDT_H
#define BASE_FDT_H

#include "arch/types.h"

#define FDT_NAMES 2 /* the longest path */
#define FDT_NONE UINT64_MAX

/* What is asked of the nodes that a path leads to, and below it the answers, which begin as 0. */
struct fdt_question {
	/* Down from the root, none for the root itself; a name stands for "name@unit" too. */
	const char *path[FDT_NAMES + 1];
	const char *name;  /* of a property */
	uint64_t *numbers; /* room for those of the first `room` nodes, or NULL */
	unsigned int room;

	const void *value; /* of the first such property, or NULL */
	size_t length;	   /* in bytes */
	unsigned int nodes;
	/* numbers: of each node the property, of one or two cells; FDT_NONE where a node has no such number. */
};

/*
 * Answer them all, at most 64, in one walk, which ends at what is malformed. False if what lies at blob (at
 * most limit bytes of it) is not a device tree.
 */
bool fdt_ask(const void *blob, size_t limit, struct fdt_question *questions, size_t count);

/* A big-endian number of `cells` 32-bit cells at bytes. */
uint64_t fdt_cells(const void *bytes, unsigned int cells);

#endif
