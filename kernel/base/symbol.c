/* Lookup in .ksyms: a count, rows sorted by address, then the names. See symbol.h. */
#include "base/symbol.h"

LINKER_SYMBOL(__text_start);

struct row {
	uint32_t offset; /* from __text_start */
	uint32_t size;
	uint32_t name; /* offset into the names behind the rows */
};

/* By name: no debugger knows an object's type from its declaration alone. */
struct ksyms {
	uint64_t count;
	struct row rows[];
};
extern const struct ksyms ksyms;

size_t symbol_count(void)
{
	return ksyms.count;
}

bool symbol_find(uintptr_t address, struct symbol *found)
{
	uintptr_t offset = address - (uintptr_t)__text_start;
	const struct ksyms *table = &ksyms;
	const char *names = (const char *)&table->rows[table->count];
	const struct row *row = table->rows;

	/* The last row that starts at or before the offset is one of `left` from `row` on, if there is one. */
	for (uint64_t left = table->count; left > 1; left -= left / 2)
		row = row[left / 2].offset <= offset ? row + left / 2 : row;
	if (offset - row->offset >= row->size)
		return false;
	*found = (struct symbol){
		.name = names + row->name,
		.address = (uintptr_t)__text_start + row->offset,
		.size = row->size,
	};
	return true;
}
