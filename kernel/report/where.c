/* See where.h. Regions without an offset are those whose layout the linker or the build decides. */
#include "report/where.h"

#include "arch/mmu.h"
#include "base/poison.h"
#include "base/symbol.h"
#include "report/upcall.h"

const struct thread *where_subject;

LINKER_SYMBOL(__text_start);
LINKER_SYMBOL(__text_end);
LINKER_SYMBOL(__rodata_start);
LINKER_SYMBOL(__rodata_end);
LINKER_SYMBOL(__data_start);
LINKER_SYMBOL(__early_heap_start);
LINKER_SYMBOL(__early_heap_end);

static const struct {
	const char *name;
	const char *start, *end;
} regions[] = {
	{ "text", __text_start, __text_end },
	{ "rodata", __rodata_start, __rodata_end },
	{ "data", __data_start, __early_heap_start },
	{ "early-heap", __early_heap_start, __early_heap_end },
	{ "device", phys_to_virt(DEVICES_BASE), phys_to_virt(DEVICES_BASE + DEVICES_SIZE) },
};

static void put_offset(struct text *t, const char *name, uintptr_t address, uintptr_t from)
{
	bool below = address < from;

	text_format(t, "%s%c0x%lx", name, below ? '-' : '+',
		    below ? from - address : address - from);
}

/* EL0's code: crasher:dive+0x14. */
static bool put_user(struct text *t, uintptr_t inside, uintptr_t address)
{
	struct symbol symbol;
	const char *program;

	if (!user_symbol(inside, &symbol, &program))
		return false;
	text_format(t, "%s:", program);
	put_offset(t, symbol.name, address, symbol.address);
	return true;
}

void where_code(struct text *t, uintptr_t address, bool is_return)
{
	struct symbol symbol;

	if (put_user(t, address - is_return, address))
		return;
	if (symbol_find(address - is_return, &symbol))
		put_offset(t, symbol.name, address, symbol.address);
	else
		where_any(t, address);
}

bool where_is_text(uintptr_t address)
{
	return address - (uintptr_t)__text_start < (size_t)(__text_end - __text_start);
}

void where_sp(struct text *t, const struct stack *own, uintptr_t sp)
{
	if (stack_owns_sp(own, sp))
		put_offset(t, own->name, sp, own->base);
	else
		where_any(t, sp);
}

void where_any(struct text *t, uintptr_t address)
{
	const struct stack *s = stack_find_with_guards(address);
	struct symbol symbol;

	if (s) {
		put_offset(t, s->name, address, s->base);
		return;
	}
	if (address < PAGE_SIZE) {
		put_offset(t, "null", address, 0);
		return;
	}
	if (put_user(t, address, address))
		return;
	if (address - POISON_FREED < PAGE_SIZE) {
		put_offset(t, "poison", address, POISON_FREED);
		return;
	}
	if (pool_window_name(t, address))
		return;
	if (symbol_find(address, &symbol)) {
		put_offset(t, symbol.name, address, symbol.address);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
		if (address - (uintptr_t)regions[i].start <
		    (size_t)(regions[i].end - regions[i].start)) {
			text_puts(t, regions[i].name);
			return;
		}
	}
	text_puts(t, mmu_accessible(address, false) ? "ram" : "unmapped");
}
