/*
 * mem/bump.c: what is handed out is what lies behind the last piece, aligned, or nothing. The model counts
 * in 128 bits, where nothing wraps. A range lies anywhere, the top of all addresses included.
 */
#include "host.h"

#include "mem/bump.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

/* Two symbols with the heap between them, as kernel.ld makes them. */
__asm__(".pushsection .bss\n"
	".balign 4096\n"
	".globl __early_heap_start, __early_heap_end\n"
	"__early_heap_start: .skip 65536\n"
	"__early_heap_end:\n"
	".popsection\n");

typedef unsigned __int128 wide;

static bool is_power_of_two(size_t align)
{
	return __builtin_popcountl(align) == 1;
}

/* Anything of any size and alignment, of a range that is only numbers. */
static void ask(struct bump *b, struct choices *c)
{
	struct bump before = *b;
	size_t align = choose(c, 8) ? 1UL << choose(c, 64) : choose_number(c);
	size_t size = choose(c, 2) ? choose_number(c) : choose(c, 256);
	uintptr_t is = (uintptr_t)bump_alloc(b, size, align);
	wide should = 0;

	if (is_power_of_two(align))
		should = ((wide)before.at + align - 1) / align * align;
	require(b->end == before.end, "the range ends where it ended");
	if (!is_power_of_two(align) || should + size > before.end) {
		require(!is, "what does not fit is refused");
		require(b->at == before.at, "and takes nothing");
	} else {
		require(is == should, "the next aligned address");
		require(b->at == is + size, "and all of it is taken");
	}
}

static struct bump any_range(struct choices *c)
{
	uintptr_t end = choose_number(c), size = choose_number(c);

	/* From 1 on: address 0 is how a refusal looks. */
	return (struct bump){ end > size ? end - size : 1, end ? end : 1 };
}

/* The early heap: memory that is there, from its start on, and then memory elsewhere. */
static void play_early(struct choices *c)
{
	uintptr_t start = (uintptr_t)__early_heap_start;
	static uint8_t elsewhere[256];
	uint8_t *memory;

	require((uintptr_t)__early_heap_end - start == 65536, "the stand-in's two symbols");
	early = (struct bump){ start, (uintptr_t)__early_heap_end };
	require((uintptr_t)kmem_alloc_aligned(1, 1) == start, "from its start on");
	kmem_move(elsewhere, sizeof(elsewhere));
	for (;;) {
		size_t piece = 1 + choose(c, 16), was = kmem_used();

		memory = kmem_alloc_aligned(piece, 1);
		if (!memory)
			break;
		require(memory >= elsewhere && memory < elsewhere + sizeof(elsewhere), "moved");
		*memory = 1;
		kmem_give_back(memory);
		require(kmem_used() == was, "and nothing is taken any more");
		require(kmem_alloc_aligned(piece, 1) == memory, "the newest piece goes back");
		kmem_give_back(memory - 1);
		require(kmem_used() == was + piece, "any other stays");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };
	struct bump b;

	if (choose(&c, 16) == 0)
		play_early(&c);
	b = any_range(&c);
	while (c.left)
		ask(&b, &c);
	return 0;
}
