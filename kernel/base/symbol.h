/* The image's own symbol table: functions only, made by tools/ksyms.awk between two links. */
#ifndef BASE_SYMBOL_H
#define BASE_SYMBOL_H

#include "arch/types.h"

struct symbol {
	const char *name;
	uintptr_t address;
	size_t size; /* bytes */
};

/* How many functions there are. */
size_t symbol_count(void);

/* The function that contains address. False if it lies in none. */
bool symbol_find(uintptr_t address, struct symbol *found);

#endif
