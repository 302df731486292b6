/* Heap labs: headers that are written over, by a byte and by every byte. scenarios/test_heap.py. */
#include "base/string.h"
#include "base/symbol.h"
#include "lab/lab.h"
#include "mem/bump.h"
#include "mem/heap.h"
#include "report/report.h"

#define HEAP_BYTES (4 * KiB)
#define BLOCK 256
#define BLOCKS 7
#define REST (BLOCKS - 1) /* what is left of the heap: nobody has had it */
#define HOLE 3		  /* freed again */

static struct heap heap;
static uint8_t *blocks[BLOCKS];

/* Two owners, out of line, so that a refusal names them apart. */
__attribute__((noinline)) static void *even_owner(size_t size)
{
	void *memory = heap_alloc(&heap, size);

	return memory ? memory : (panic("early-refusal"), NULL);
}

__attribute__((noinline)) static void *odd_owner(size_t size)
{
	void *memory = heap_alloc(&heap, size);

	return memory ? memory : (panic("early-refusal"), NULL);
}

/* By name: the symbol table knows nothing of heaps. */
static bool is_from(uintptr_t address, size_t block)
{
	struct symbol found;

	if (block == REST)
		return !address;
	return symbol_find(address, &found) &&
	       strcmp(found.name, block % 2 ? "odd_owner" : "even_owner") == 0;
}

static void make_heap(void)
{
	if (!heap_init(&heap, kmem_alloc_aligned(HEAP_BYTES, HEAP_ALIGN), HEAP_BYTES))
		panic("no-memory-for-heap");
	for (size_t i = 0; i < REST; i++)
		blocks[i] = i % 2 ? odd_owner(BLOCK) : even_owner(BLOCK);
	blocks[REST] = blocks[REST - 1] + BLOCK + HEAP_HEADER_BYTES;
}

static bool overlaps(const uint8_t *memory, size_t size, const uint8_t *block)
{
	return memory && memory < block + BLOCK && block < memory + size;
}

#define OFF_BY_ONE_PARAMS(P) P(byte, 0, 0, 255, "what is written just after the block")

/* The next header's lowest byte holds "used" and the size: with 0 in it the next block looked free. */
LAB(heap, off_by_one, "one byte after a block; then it is freed, and others ask", OFF_BY_ONE_PARAMS)
{
	enum heap_error error;
	uint8_t *other;

	make_heap();
	if (a->byte == blocks[0][BLOCK]) {
		report("[heap-lab] this byte is what stands there : try another");
		return;
	}
	report("[heap-lab] writing one byte after block=0");
	blocks[0][BLOCK] = (uint8_t)a->byte;
	report("[heap-lab] freeing block=0");
	error = heap_free(&heap, blocks[0]);
	if (error != HEAP_OK)
		refusal_report("heap", &heap.refused);
	other = heap_alloc(&heap, 2 * BLOCK);
	report("[heap-lab] asked for more given=%s overlaps=%s", other ? "yes" : "no",
	       overlaps(other, 2 * BLOCK, blocks[1]) ? "yes" : "no");
	if (other == NULL)
		refusal_report("heap", &heap.refused);
	end(error == HEAP_CORRUPT && !other ? "caught by=heap-check" : "survived");
}

/* What was counted: how often a header was written over, and who said so. */
static struct {
	unsigned long written, by_check, by_free, by_alloc;
} swept;

static void expect(bool condition, const char *why, size_t block, size_t byte, unsigned int value)
{
	if (condition)
		return;
	report("[heap-lab] missed header=%lu byte=%lu value=%u : %s", block, byte, value, why);
	end("survived");
}

static bool is_blamed(size_t block)
{
	const struct refusal *r = &heap.refused;

	return r->corrupt && is_from(r->header_of, block) &&
	       (block ? is_from(r->after, block - 1) : !r->after);
}

/* The block itself, and the one whose owner most likely did it: neither can be freed, nor can more be taken. */
static void try_all(size_t block, size_t byte, unsigned int value)
{
	size_t beside = block ? block - 1 : 0;

	expect(heap_free(&heap, blocks[block]) == HEAP_CORRUPT && is_blamed(block),
	       "its own block was freed", block, byte, value);
	expect(heap_free(&heap, blocks[beside]) == HEAP_CORRUPT && is_blamed(block),
	       "the block before it was freed", block, byte, value);
	expect(!heap_alloc(&heap, 2 * BLOCK) && is_blamed(block), "a block was given out", block,
	       byte, value);
	expect(!heap_check(&heap) && is_blamed(block), "heap_check() saw nothing", block, byte,
	       value);
	swept.by_free += 2;
	swept.by_alloc++;
	swept.by_check++;
}

static void sweep_header(size_t block)
{
	uint8_t *header = blocks[block] - HEAP_HEADER_BYTES;

	for (size_t byte = 0; byte < HEAP_HEADER_BYTES; byte++) {
		uint8_t was = header[byte];

		for (unsigned int value = 0; value < 256; value++) {
			if (value == was)
				continue;
			header[byte] = (uint8_t)value;
			swept.written++;
			try_all(block, byte, value);
		}
		header[byte] = was;
	}
}

LAB(heap, sweep, "each byte of each header is made each other value; somebody always says so",
    NO_PARAMS)
{
	make_heap();
	if (heap_free(&heap, blocks[HOLE]) != HEAP_OK)
		panic("right-free-refused");
	for (size_t block = 0; block < BLOCKS; block++)
		sweep_header(block);
	report("[heap-lab] swept headers=%u written=%lu refused_frees=%lu refused_allocs=%lu checks=%lu",
	       BLOCKS, swept.written, swept.by_free, swept.by_alloc, swept.by_check);
	for (size_t block = 0; block < REST; block++)
		if (block != HOLE && heap_free(&heap, blocks[block]) != HEAP_OK)
			panic("right-free-refused");
	if (!heap_check(&heap) || heap_census(&heap).blocks != 1)
		panic("heap-not-whole");
	end("caught by=heap-check");
}
