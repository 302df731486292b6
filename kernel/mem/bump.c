/* See bump.h. */
#include "mem/bump.h"

#include "arch/sysreg.h"
#include "base/ledger.h"
#include "report/inject.h"

INJECT_SITE(kmem, alloc, kmem_alloc_aligned, 0, "the early heap is full", .for_good = true)

LINKER_SYMBOL(__early_heap_start);
LINKER_SYMBOL(__early_heap_end);

static struct bump early = { (uintptr_t)__early_heap_start, (uintptr_t)__early_heap_end };
static uintptr_t last, before_last; /* the newest piece, and where the heap ended before it */
static size_t used;

void *bump_alloc(struct bump *b, size_t size, size_t align)
{
	uintptr_t at = ALIGN_UP(b->at, align);

	/* Rounded up past the top, or to 0, it is 0; at + size may wrap: only differences are compared. */
	if (align & (align - 1) || at < b->at || at > b->end || size > b->end - at)
		return NULL;
	b->at = at + size;
	return (void *)at;
}

void *kmem_alloc_aligned(size_t size, size_t align)
{
	uint64_t flags;
	uintptr_t end;
	void *memory;

	if (inject(&kmem_alloc_site, size))
		return NULL;
	flags = irq_save();
	end = early.at;
	memory = bump_alloc(&early, size, align);
	if (memory) {
		before_last = end;
		last = (uintptr_t)memory;
		used += early.at - end;
	}
	irq_restore(flags);
	ledger_took(&kmem_alloc_site, memory, size);
	return memory;
}

void kmem_give_back(void *memory)
{
	uint64_t flags = irq_save();

	if (memory && (uintptr_t)memory == last) {
		ledger_gave(&kmem_alloc_site, memory);
		used -= early.at - before_last;
		early.at = before_last;
		last = 0;
	}
	irq_restore(flags);
}

size_t kmem_used(void)
{
	return used;
}

void kmem_move(void *memory, size_t size)
{
	uint64_t flags = irq_save();

	early = (struct bump){ (uintptr_t)memory, (uintptr_t)memory + size };
	last = 0;
	irq_restore(flags);
}
