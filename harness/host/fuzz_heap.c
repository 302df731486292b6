/*
 * mem/heap.c: any sequence of allocations, frees and wrong frees against a model that is a sorted list
 * of the live blocks. All else follows from it: every gap between two of them is exactly one free
 * block; the first gap that is large enough is the one that is taken; the steps are what lies before it.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "mem/heap.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

#define MAX_LIVE 64

/* The early heap's stand-in: exact pieces, for free(). */
void *kmem_alloc_aligned(size_t size, __attribute__((unused)) size_t align)
{
	void *memory = malloc(size);

	if (memory)
		memset(memory, 0xa5, size);
	return memory;
}

/*
 * From the header's offset on. `owner` is who took it, as the heap knows it. Unless the pattern is 0, it fills the `asked` bytes after the header.
 */
struct live {
	size_t at, bytes, asked;
	uintptr_t owner;
	uint8_t pattern;
};

struct model {
	struct heap heap;
	uint8_t *arena;
	size_t size;
	struct live live[MAX_LIVE]; /* sorted by place */
	size_t count;
	size_t allocs, frees, failures;
	uint8_t next_pattern;
	uint8_t *last_freed; /* and nothing was given out since */
};

static size_t gap_start(const struct model *m, size_t i)
{
	return i ? m->live[i - 1].at + m->live[i - 1].bytes : 0;
}

/* Bytes free before live block i, header included; i = count: behind the last. */
static size_t gap(const struct model *m, size_t i)
{
	return (i < m->count ? m->live[i].at : m->size) - gap_start(m, i);
}

static void *memory_of(const struct model *m, const struct live *l)
{
	return m->arena + l->at + HEAP_HEADER_BYTES;
}

static void check_contents(const struct model *m, const struct live *l)
{
	const uint8_t *memory = memory_of(m, l);

	for (size_t i = 0; i < l->asked && l->pattern; i++)
		require(memory[i] == l->pattern, "a live block keeps its contents");
}

static void check_census(const struct model *m)
{
	struct heap_census is = heap_census(&m->heap), should = { .blocks = m->count };

	for (size_t i = 0; i <= m->count; i++) {
		size_t bytes = gap(m, i);

		if (!bytes)
			continue;
		should.blocks++;
		should.free_blocks++;
		should.total_free += bytes - HEAP_HEADER_BYTES;
		if (bytes - HEAP_HEADER_BYTES > should.largest_free)
			should.largest_free = bytes - HEAP_HEADER_BYTES;
	}
	require(is.blocks == should.blocks, "a gap is one block");
	require(is.free_blocks == should.free_blocks, "a gap is one free block");
	require(is.total_free == should.total_free, "all that is free is counted");
	require(is.largest_free == should.largest_free, "the largest gap is known");
	require(m->heap.allocs == m->allocs && m->heap.frees == m->frees &&
			m->heap.failures == m->failures,
		"allocations, frees and failures are counted");
}

static void insert(struct model *m, size_t i, struct live l)
{
	memmove(&m->live[i + 1], &m->live[i], (m->count - i) * sizeof(l));
	m->live[i] = l;
	m->count++;
}

/* Not inlined: two call sites, two owners. */
__attribute__((noinline)) static void *take(struct model *m, size_t asked)
{
	void *memory = heap_alloc(&m->heap, asked);

	__asm__ volatile(""); /* or it is a jump, and the call is allocate()'s */
	return memory;
}

__attribute__((noinline)) static void *take_otherwise(struct model *m, size_t asked)
{
	void *memory = heap_alloc(&m->heap, asked);

	__asm__ volatile(""); /* likewise */
	return memory;
}

static struct header *header_at(const struct model *m, size_t at)
{
	return (struct header *)(m->arena + at);
}

static void allocate(struct model *m, size_t asked, bool fill)
{
	size_t steps = 0, need = 0, i;
	uint8_t *memory = fill ? take(m, asked) : take_otherwise(m, asked);
	struct live l = { .asked = asked };

	m->last_freed = NULL;

	if (asked <= m->size) {
		need = HEAP_HEADER_BYTES +
		       (asked ? ALIGN_UP(asked, (size_t)HEAP_ALIGN) : HEAP_ALIGN);
		for (i = 0; i <= m->count && gap(m, i) < need; i++)
			steps += (gap(m, i) > 0) + (i < m->count);
	}
	if (!need || i > m->count) {
		require(!memory, "what fits nowhere is refused");
		require(!need || m->heap.steps == steps, "after a look at every block");
		m->failures++;
		return;
	}
	require(m->heap.steps == steps + 1, "the steps are counted");
	l.at = gap_start(m, i);
	/* A rest that could hold nothing goes with the block. */
	l.bytes = gap(m, i) - need < HEAP_HEADER_BYTES + HEAP_ALIGN ? gap(m, i) : need;
	require(memory == memory_of(m, &l), "the first gap that fits is taken");
	/* What is not filled still holds the headers of blocks that were there before. */
	if (fill) {
		l.pattern = m->next_pattern++ | 0x80;
		memset(memory, l.pattern, asked);
	}
	l.owner = owner_of(&m->heap, header_at(m, l.at));
	require(l.owner - (uintptr_t)(fill ? take : take_otherwise) < 128, "its owner is known");
	insert(m, i, l);
	m->allocs++;
}

/* Not inlined: two call sites to be told apart. */
__attribute__((noinline)) static void give_back(struct model *m, size_t i)
{
	check_contents(m, &m->live[i]);
	m->last_freed = memory_of(m, &m->live[i]);
	require(heap_free(&m->heap, memory_of(m, &m->live[i])) == HEAP_OK, "a live block is freed");
	m->count--;
	memmove(&m->live[i], &m->live[i + 1], (m->count - i) * sizeof(m->live[i]));
	m->frees++;
}

static void refused(struct model *m, void *memory, enum heap_error should)
{
	struct heap heap = m->heap;
	uint8_t *arena = exact_copy(m->arena, m->size);
	enum heap_error is = heap_free(&m->heap, memory);

	require(is == should, "a wrong free is refused by its name");
	require(m->heap.refused.why && m->heap.refused.now, "and its caller is known");
	require(!m->heap.refused.first || is == HEAP_DOUBLE_FREE, "as is who freed it first");
	heap.refused = m->heap.refused;
	require(!memcmp(&heap, &m->heap, sizeof(heap)) && !memcmp(arena, m->arena, m->size),
		"and nothing else changes");
	free(arena);
}

static void refused_foreign(struct model *m)
{
	static uint8_t elsewhere[4 * HEAP_ALIGN] __attribute__((aligned(HEAP_ALIGN)));

	refused(m, no_memory(), HEAP_FOREIGN);
	refused(m, elsewhere + sizeof(elsewhere) / 2, HEAP_FOREIGN);
	refused(m, m->arena, HEAP_FOREIGN);
	refused(m, m->arena + m->size, HEAP_FOREIGN);
	refused(m, m->arena - HEAP_ALIGN, HEAP_FOREIGN);
}

/* In the middle of a block: three headers there that agree with each other, as another heap's would. */
static void forge_headers(uint8_t *inside, size_t left)
{
	struct header *b = (struct header *)inside;

	if (left < 5 * HEAP_ALIGN)
		return;
	b[-1] = (struct header){ HEAP_ALIGN | USED, HEAP_ALIGN };
	b[1] = (struct header){ HEAP_ALIGN | USED, HEAP_ALIGN };
	b[3] = (struct header){ HEAP_ALIGN | USED, HEAP_ALIGN };
}

/* A pointer to the middle of a block: of one that is filled, so that nothing old is there. */
static void refused_inside(struct model *m, struct live *l, size_t at, bool forge)
{
	uint8_t *inside;

	if (l->asked <= HEAP_ALIGN || !l->pattern)
		return;
	at = HEAP_ALIGN * (1 + at % ((l->asked - 1) / HEAP_ALIGN));
	inside = (uint8_t *)memory_of(m, l) + at;
	if (forge) {
		forge_headers(inside, l->asked - at);
		l->pattern = 0;
	}
	refused(m, inside, HEAP_INSIDE);
}

/* What a heap consists of, kept to be put back: `places` records and the arena. */
struct kept {
	struct heap heap;
	struct heap_record *records;
	uint8_t *arena;
};

static size_t record_bytes(const struct model *m)
{
	return m->size / HEAP_ALIGN * sizeof(struct heap_record);
}

static struct kept keep(const struct model *m)
{
	return (struct kept){ m->heap, exact_copy(m->heap.records, record_bytes(m)),
			      exact_copy(m->arena, m->size) };
}

static void put_back(struct model *m, struct kept *k)
{
	m->heap = k->heap;
	memcpy(m->heap.records, k->records, record_bytes(m));
	memcpy(m->arena, k->arena, m->size);
	free(k->records);
	free(k->arena);
}

static bool is_live(const struct model *m, const struct header *b)
{
	for (size_t i = 0; i < m->count; i++)
		if (header_at(m, m->live[i].at) == b)
			return true;
	return false;
}

/* The two beside a header that was written over are blamed, whoever finds it. */
static void require_blame(const struct model *m, const struct header *wrong)
{
	const struct refusal *r = &m->heap.refused;
	const struct header *before = wrong;
	uintptr_t after = 0;

	for (size_t i = 0; i < m->count; i++)
		if (header_at(m, m->live[i].at) == wrong)
			require(r->header_of == m->live[i].owner, "its owner is named");
	if (before != first(&m->heap)) {
		do
			before--;
		while (!begins(&m->heap, before));
		after = owner_of(&m->heap, before);
	}
	require(r->corrupt && !strcmp(r->why, "corrupt"), "it is called corrupt");
	require(r->after == after, "as is that of the block before it");
}

/* One byte of a header is another one: whoever comes to it says so, and nobody's block is given out. */
static void refused_corrupt(struct model *m, struct header *wrong, size_t byte, uint8_t value,
			    size_t asked)
{
	uint8_t *at = (uint8_t *)wrong + byte % HEAP_HEADER_BYTES;
	struct kept k = keep(m);
	uint8_t *memory;

	if (*at == value)
		value++;
	*at = value;
	require(!heap_check(&m->heap), "a look at everything finds it");
	require_blame(m, wrong);
	if (is_live(m, wrong)) {
		refused(m, wrong + 1, HEAP_CORRUPT);
		require_blame(m, wrong);
	}
	m->heap.refused = (struct refusal){ .corrupt = false };
	memory = heap_alloc(&m->heap, asked);
	if (!memory && m->heap.refused.corrupt)
		require_blame(m, wrong);
	for (size_t i = 0; memory && i < m->count; i++)
		require(memory + asked <= m->arena + m->live[i].at + HEAP_HEADER_BYTES ||
				memory >= m->arena + m->live[i].at + m->live[i].bytes,
			"nobody's block is given out");
	require(!memory || !heap_check(&m->heap), "and it is not mended by the way");
	put_back(m, &k);
}

/* The blocks beside it cannot be freed, either: they would be joined with it, or it with them. */
static void refused_beside(struct model *m, size_t i, size_t byte, uint8_t value)
{
	struct header *wrong = header_at(m, m->live[i].at + m->live[i].bytes);
	uint8_t *at = (uint8_t *)wrong + byte % HEAP_HEADER_BYTES, was;

	if (m->live[i].at + m->live[i].bytes >= m->size)
		return;
	was = *at;
	*at = value == was ? value + 1 : value;
	refused(m, memory_of(m, &m->live[i]), HEAP_CORRUPT);
	require_blame(m, wrong);
	*at = was;
}

/* Any header: of a live block, or of the gap before it. */
static void write_over(struct model *m, size_t i, struct choices *c)
{
	bool in_gap = choose(c, 2) && gap(m, i);
	size_t byte = choose(c, HEAP_HEADER_BYTES);
	uint8_t value = choose(c, 256);

	if (!in_gap && i == m->count)
		return;
	refused_corrupt(m, header_at(m, in_gap ? gap_start(m, i) : m->live[i].at), byte, value,
			16UL * choose(c, 32));
	if (i < m->count)
		refused_beside(m, i, byte, value);
}

/* Nothing was given out since, so nobody can have written there: both call sites are known. */
static void refused_again(struct model *m)
{
	refused(m, m->last_freed, HEAP_DOUBLE_FREE);
	require(m->heap.refused.first && m->heap.refused.first != m->heap.refused.now,
		"both call sites are known");
}

static void misuse(struct model *m, struct choices *c)
{
	size_t i = choose(c, (unsigned int)m->count + 1), how = choose(c, 7);
	uint8_t *freed = m->arena + gap_start(m, i) + HEAP_HEADER_BYTES;
	size_t units = gap(m, i) / HEAP_ALIGN; /* the first is the header */

	if (how == 0)
		refused_foreign(m);
	else if (how == 1 && units)
		refused(m, freed, HEAP_DOUBLE_FREE);
	else if (how == 2 && units > 2) /* where a block once began, maybe */
		refused(m, freed + HEAP_ALIGN * (1 + choose(c, 256) % (units - 2)),
			HEAP_DOUBLE_FREE);
	else if (how == 3 && i < m->count)
		refused(m, (uint8_t *)memory_of(m, &m->live[i]) + 1 + choose(c, HEAP_ALIGN - 1),
			HEAP_FOREIGN);
	else if (how == 4 && i < m->count)
		refused_inside(m, &m->live[i], choose(c, 256), choose(c, 2));
	else if (how == 5)
		write_over(m, i, c);
	else if (how == 6 && m->last_freed)
		refused_again(m);
}

/* Mostly what fits a few times; sometimes all there is, or what no heap can have. */
static size_t some_size(const struct model *m, struct choices *c)
{
	switch (choose(c, 8)) {
	case 0:
		return choose_number(c);
	case 1:
		return m->size - choose(c, 64);
	case 2:
		return 16UL * choose(c, 256);
	default:
		return choose(c, 200);
	}
}

static void play(struct model *m, struct choices *c)
{
	while (c->left) {
		unsigned int what = choose(c, 8);

		if (what < 4 && m->count < MAX_LIVE - 1)
			allocate(m, some_size(m, c), choose(c, 2));
		else if (what < 7 && m->count)
			give_back(m, choose(c, (unsigned int)m->count));
		else
			misuse(m, c);
		check_census(m);
	}
	while (m->count)
		give_back(m, choose(c, (unsigned int)m->count));
	check_census(m);
	require(heap_census(&m->heap).blocks == 1, "in the end the heap is one block again");
}

/* What was not made is empty: it gives nothing and takes nothing. */
static void refused_making(struct model *m, void *memory, size_t size)
{
	struct heap none;

	memset(&none, 0xa5, sizeof(none));
	require(!heap_init(&none, memory, size), "a heap that cannot be is not made");
	require(!heap_alloc(&none, 0) && !heap_alloc(&none, 16), "then it gives nothing");
	require(heap_free(&none, m->arena + HEAP_ALIGN) == HEAP_FOREIGN, "and takes nothing");
	require(heap_check(&none) && !heap_census(&none).blocks, "and has no blocks");
	require(!none.allocs && !none.frees, "and counts none");
}

static void refused_makings(struct model *m)
{
	refused_making(m, no_memory(), m->size);
	refused_making(m, m->arena + 8, m->size);
	refused_making(m, m->arena, m->size - 8);
	refused_making(m, m->arena, HEAP_ALIGN);
	refused_making(m, m->arena, 0);
	refused_making(m, m->arena, 1UL << 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };
	struct model *m = calloc(1, sizeof(*m));

	m->size = 2 * HEAP_ALIGN + (choose(&c, 2) ? 16UL : 2UL) * HEAP_ALIGN * choose(&c, 32);
	m->arena = aligned_alloc(HEAP_ALIGN, m->size);
	memset(m->arena, 0xa5, m->size); /* no headers from the input before */
	refused_makings(m);
	require(heap_init(&m->heap, m->arena, m->size), "a heap with enough memory is made");
	check_census(m);
	play(m, &c);
	free(m->heap.records);
	free(m->arena);
	free(m);
	return 0;
}
