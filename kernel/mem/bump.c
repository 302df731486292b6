/* See bump.h. */
#include "mem/bump.h"

#include "arch/sysreg.h"

LINKER_SYMBOL(__early_heap_start);
LINKER_SYMBOL(__early_heap_end);

static struct bump early = { (uintptr_t)__early_heap_start, (uintptr_t)__early_heap_end };

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
	uint64_t flags = irq_save();
	void *memory = bump_alloc(&early, size, align);

	irq_restore(flags);
	return memory;
}

void kmem_move(void *memory, size_t size)
{
	uint64_t flags = irq_save();

	early = (struct bump){ (uintptr_t)memory, (uintptr_t)memory + size };
	irq_restore(flags);
}
