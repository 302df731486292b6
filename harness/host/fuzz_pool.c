/*
 * mem/pool.c: any sequence of allocations, frees and wrong frees against a list of the live blocks.
 * The pool's memory comes from malloc, or does not come at all.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "mem/pool.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

#define MAX_BLOCKS 64
#define MAX_BYTES (1UL << 16)

/* --- the early heap's stand-in: it gives exact blocks, some of the time, and takes them back -------- */

static void *given[4];
static size_t given_count;
static size_t refuse_from; /* this call and all later ones get nothing */

void *kmem_alloc_aligned(size_t size, size_t align)
{
	void *memory;

	if (given_count >= refuse_from || size > MAX_BYTES)
		return NULL;
	require(given_count < ARRAY_SIZE(given), "a pool asks for a few pieces of memory");
	if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, size))
		return NULL;
	memset(memory, 0xa5, size);
	given[given_count++] = memory;
	return memory;
}

void kmem_give_back(void *memory)
{
	if (given_count && given[given_count - 1] == memory)
		free(given[--given_count]);
}

static void take_all_back(void)
{
	while (given_count)
		free(given[--given_count]);
}

/* --- the model ------------------------------------------------------------------------------------- */

struct model {
	struct mem_pool pool, other;
	size_t block; /* bytes, as asked for */
	size_t capacity;
	uint8_t *live[MAX_BLOCKS], *freed[MAX_BLOCKS];
	uint8_t pattern[MAX_BLOCKS]; /* of the live ones */
	size_t count, freed_count;
	size_t high_water, allocs, frees, failures;
	uint8_t next_pattern;
};

static bool overlap(const uint8_t *a, const uint8_t *b, size_t size)
{
	return a < b + size && b < a + size;
}

static void check_contents(const struct model *m, size_t i)
{
	for (size_t n = 0; n < m->block; n++)
		require(m->live[i][n] == m->pattern[i], "a live block keeps its contents");
}

static void check_counts(const struct model *m)
{
	const struct mem_pool *p = &m->pool;

	require(p->in_use == m->count, "in_use");
	require(p->high_water == m->high_water, "high_water");
	require(p->allocs == m->allocs && p->frees == m->frees, "allocs and frees");
	require(p->failures == m->failures, "failures");
	require(!p->failures == !p->last_failing_caller, "who was refused is known");
}

static void forget_freed(struct model *m, const uint8_t *block)
{
	for (size_t i = 0; i < m->freed_count; i++)
		if (m->freed[i] == block)
			m->freed[i] = m->freed[--m->freed_count];
}

static void allocate(struct model *m)
{
	uint8_t *block = pool_alloc(&m->pool);

	if (m->count == m->capacity) {
		require(!block, "a pool that is used up gives nothing");
		m->failures++;
		return;
	}
	require(block, "a pool that is not used up gives a block");
	require((uintptr_t)block % BLOCK_ALIGN == 0, "aligned");
	require(pool_owns(&m->pool, block) && !pool_owns(&m->other, block), "its own");
	for (size_t i = 0; i < m->count; i++)
		require(!overlap(block, m->live[i], m->block), "that overlaps no other");
	forget_freed(m, block);
	m->live[m->count] = block;
	m->pattern[m->count] = m->next_pattern++;
	memset(block, m->pattern[m->count], m->block);
	m->count++;
	m->allocs++;
	if (m->count > m->high_water)
		m->high_water = m->count;
}

static void give_back(struct model *m, size_t i)
{
	uint8_t *block = m->live[i];

	check_contents(m, i);
	require(pool_free(&m->pool, block) == POOL_OK, "a live block is freed");
	m->freed[m->freed_count++] = block;
	m->count--;
	m->live[i] = m->live[m->count];
	m->pattern[i] = m->pattern[m->count];
	m->frees++;
}

static void refused(struct model *m, void *block, enum pool_error should)
{
	struct mem_pool pool = m->pool;
	uint8_t *memory = exact_copy((void *)pool.base, pool.capacity * pool.block);

	require(pool_free(&m->pool, block) == should, "a wrong free is refused by its name");
	require(!memcmp(&pool, &m->pool, sizeof(pool)) &&
			!memcmp(memory, (void *)pool.base, pool.capacity * pool.block),
		"and changes nothing");
	free(memory);
}

static void misuse(struct model *m, struct choices *c)
{
	unsigned int how = choose(c, 4);
	size_t bytes = m->pool.capacity * m->pool.block;
	uint8_t *first = (uint8_t *)m->pool.base;

	if (how == 0 && m->freed_count) {
		refused(m, m->freed[choose(c, (unsigned int)m->freed_count)], POOL_DOUBLE_FREE);
	} else if (how == 1 && m->count) {
		size_t off = 1 + choose(c, 256) % (m->pool.block - 1);

		refused(m, m->live[choose(c, (unsigned int)m->count)] + off, POOL_MISALIGNED);
	} else if (how == 2) {
		refused(m, no_memory(), POOL_FOREIGN);
		refused(m, m, POOL_FOREIGN);
		refused(m, (void *)m->other.base, POOL_FOREIGN);
	} else if (how == 3) {
		refused(m, first - 1 - choose(c, 16), POOL_FOREIGN);
		refused(m, first + bytes + choose(c, 16), POOL_FOREIGN);
	}
}

static void play(struct model *m, struct choices *c)
{
	while (c->left) {
		unsigned int what = choose(c, 8);

		if (what < 4)
			allocate(m);
		else if (what < 7 && m->count)
			give_back(m, choose(c, (unsigned int)m->count));
		else
			misuse(m, c);
		check_counts(m);
	}
	while (m->count)
		give_back(m, choose(c, (unsigned int)m->count));
	check_counts(m);
	while (m->count < m->capacity)
		allocate(m);
	allocate(m);
	check_counts(m);
}

/* Sizes at the edges: either there is no pool, or one whose every block is whole. */
static void make_any(struct choices *c)
{
	size_t block = choose_number(c), capacity = choose_number(c), size;
	struct mem_pool pool;

	if (!pool_init(&pool, "any", block, capacity))
		return;
	require(!__builtin_mul_overflow(block, capacity, &size) && size <= MAX_BYTES,
		"a pool that cannot be is refused");
	for (size_t i = 0; i < capacity; i++) {
		void *memory = pool_alloc(&pool);

		require(memory, "a pool has the blocks it was asked for");
		memset(memory, 0, block);
	}
	require(!pool_alloc(&pool), "and no more");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };
	struct model *m;

	refuse_from = choose(&c, 16) ? ARRAY_SIZE(given) + 1 : choose(&c, 4);
	if (choose(&c, 4) == 0) {
		make_any(&c);
		take_all_back();
		return 0;
	}
	m = calloc(1, sizeof(*m));
	m->block = 1 + choose(&c, 256);
	m->capacity = 1 + choose(&c, MAX_BLOCKS - 1);
	if (pool_init(&m->pool, "one", m->block, m->capacity) &&
	    pool_init(&m->other, "other", 16, 2))
		play(m, &c);
	else
		require(refuse_from < ARRAY_SIZE(given), "a pool with enough memory is made");
	take_all_back();
	free(m);
	return 0;
}
