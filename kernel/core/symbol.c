/* Lookup in .ksyms: a count, rows sorted by address, then the names. See symbol.h. */
#include "core/symbol.h"

LINKER_SYMBOL(__text_start);

struct row {
	uint32_t offset; /* from __text_start */
	uint32_t size;
	uint32_t name; /* offset into the names behind the rows */
};

extern const struct {
	uint64_t count;
	struct row rows[];
} ksyms;

bool symbol_find(uintptr_t address, struct symbol *found)
{
	uintptr_t offset = address - (uintptr_t)__text_start;
	uint64_t low = 0;
	uint64_t high = ksyms.count;

	/* Rows below `low` start at or before the offset, rows from `high` on behind it. */
	while (low < high) {
		uint64_t middle = (low + high) / 2;

		if (ksyms.rows[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;

	const struct row *row = &ksyms.rows[low - 1];
	const char *names = (const char *)&ksyms.rows[ksyms.count];

	if (offset - row->offset >= row->size)
		return false;
	*found = (struct symbol){
		.name = names + row->name,
		.address = (uintptr_t)__text_start + row->offset,
		.size = row->size,
	};
	return true;
}
