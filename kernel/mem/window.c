/* See window.h. */
#include "mem/window.h"

#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "arch/words.h"
#include "base/ledger.h"
#include "report/inject.h"
#include "base/protect.h"
#include "mem/bump.h"
#include "mem/page.h"
#include "mem/refusal.h"
#include "report/report.h"

INJECT_SITE(window, alloc, window_stack_alloc, 0, "no room for a stack and its guards")

/* One byte a page of the window: does a stack own it? The outermost page of a guard is nobody's. */
static uint8_t *owned;

static uintptr_t page_address(size_t index)
{
	return STACK_WINDOW + index * PAGE_SIZE;
}

void window_init(void)
{
	owned = kmem_alloc_aligned(STACK_WINDOW_PAGES, sizeof(uint64_t));
	if (!owned)
		panic("no-window-table");
	fill_words(owned, owned + STACK_WINDOW_PAGES, false);
}

/* First fit: `pages` free ones and one more on each side, to share. Their first, or 0: there are none. */
static size_t find_room(size_t pages)
{
	size_t run = 0;

	for (size_t i = 1; i < STACK_WINDOW_PAGES - 1; i++) {
		run = owned[i] ? 0 : run + 1;
		if (run == pages + 2)
			return i - pages;
	}
	return 0;
}

static int map_data(uintptr_t va, uintptr_t pa);

INJECT_SITE(map, page, map_data, -1, "no translation table is left")

/* noinline: its calls are counted, and GDB makes them fail, at its first instruction. */
__attribute__((noinline)) static int map_data(uintptr_t va, uintptr_t pa)
{
	if (inject(&map_page_site, PAGE_SIZE))
		return -1;
	return mmu_map(va, pa, PAGE_SIZE, MAP_DATA);
}

static bool map_page(uintptr_t va)
{
	void *page = page_alloc();

	if (!page)
		return false;
	if (map_data(va, virt_to_phys(page)) == 0)
		return true;
	page_free(page);
	return false;
}

static void unmap_page(uintptr_t va)
{
	uintptr_t pa = mmu_page_of(va);

	if (!pa)
		return;
	mmu_unmap(va, PAGE_SIZE);
	page_free(phys_to_virt(pa));
}

static bool map_stack(const struct stack *s)
{
	for (size_t done = 0; done < s->size; done += PAGE_SIZE) {
		if (map_page(s->base + done))
			continue;
		while (done) {
			done -= PAGE_SIZE;
			unmap_page(s->base + done);
		}
		return false;
	}
	return true;
}

/* protect=-guard: memory where the guards should be. */
static void fill_guards(const struct stack *s)
{
	for (uintptr_t offset = 0; offset < s->guard; offset += PAGE_SIZE) {
		uintptr_t below = s->base - s->guard + offset;
		uintptr_t above = stack_top(s) + offset;

		if (!mmu_page_of(below))
			map_page(below);
		if (!mmu_page_of(above))
			map_page(above);
	}
}

/* The stack and its guards, but for the page at each end that a neighbour may share. */
static void set_owned(const struct stack *s, bool value)
{
	uintptr_t end = stack_top(s) + s->guard - PAGE_SIZE;

	for (uintptr_t va = s->base - s->guard + PAGE_SIZE; va < end; va += PAGE_SIZE)
		owned[(va - STACK_WINDOW) / PAGE_SIZE] = value;
}

/* What could not be made has its name, and nothing else. */
static bool not_made(struct stack *s)
{
	s->base = s->size = s->guard = 0;
	return false;
}

bool window_stack_alloc(struct stack *s, size_t size, size_t guard)
{
	size_t own_guard = guard - PAGE_SIZE;
	bool done = false;
	uint64_t flags;
	size_t room;

	if (inject(&window_alloc_site, size))
		return not_made(s);
	flags = irq_save();
	room = find_room((size + 2 * own_guard) / PAGE_SIZE);
	s->base = page_address(room) + own_guard;
	s->size = size;
	s->guard = guard;
	if (room && map_stack(s)) {
		set_owned(s, true);
		done = true;
	}
	irq_restore(flags);
	if (!done)
		return not_made(s);
	if (!protected(PROTECT_GUARD))
		fill_guards(s);
	stack_prepare(s, 0);
	stack_register(s);
	ledger_took(&window_alloc_site, (void *)s->base, size);
	return true;
}

/* What fill_guards() mapped goes; a page shared with a neighbour only when that one has gone too. */
static void empty_guards(const struct stack *s)
{
	uintptr_t first = s->base - s->guard;
	uintptr_t last = stack_top(s) + s->guard - PAGE_SIZE;

	for (uintptr_t va = first + PAGE_SIZE; va < last; va += PAGE_SIZE)
		unmap_page(va);
	if (!owned[(first - STACK_WINDOW) / PAGE_SIZE - 1])
		unmap_page(first);
	if (!owned[(last - STACK_WINDOW) / PAGE_SIZE + 1])
		unmap_page(last);
}

static void refuse_free(uintptr_t caller)
{
	refusal_report("stack", &(struct refusal){ .why = "not-made", .now = caller });
}

void window_stack_free(struct stack *s)
{
	uint64_t flags;

	if (!s->size) {
		refuse_free((uintptr_t)__builtin_return_address(0));
		return;
	}
	flags = irq_save();
	ledger_gave(&window_alloc_site, (void *)s->base);
	stack_unregister(s);
	for (uintptr_t va = s->base; va < stack_top(s); va += PAGE_SIZE)
		unmap_page(va);
	set_owned(s, false);
	if (!protected(PROTECT_GUARD))
		empty_guards(s);
	irq_restore(flags);
}

size_t window_in_use(void)
{
	size_t pages = 0;

	for (size_t i = 0; i < STACK_WINDOW_PAGES; i++)
		pages += owned[i];
	return pages;
}
