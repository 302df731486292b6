/*
 * mem/pool.c, pool_slow.c and pool_guard.c: any sequence of allocations, frees, wrong frees and wrong writes against a
 * list of the live blocks. Each misuse must be found, by its name, when it can be and not before. The
 * pool's memory comes from malloc, or does not come at all.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

/* NOLINTBEGIN(bugprone-suspicious-include): host.h says why */
#include "mem/pool.c"
#include "mem/pool_guard.c"
#include "mem/pool_slow.c"
/* NOLINTEND(bugprone-suspicious-include) */

#define MAX_BLOCKS 64
#define MAX_BYTES (1UL << 16)
#define ENDING_BYTES 6

/* --- the early heap's stand-in: it gives exact blocks, some of the time, and takes them back -------- */

static void *given[4];
static size_t given_count;
/* pool_report.c is not here: it only prints. */
void pool_report_finding(const struct mem_pool *pool)
{
	require(pool->last.error != POOL_OK, "what is reported has a name");
	require(pool->last.caller, "and a caller");
}

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
	all_pools = NULL;
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

/* --- misuse ---------------------------------------------------------------------------------------- */

/* All that the pool lies on: zones, blocks, links. */
static size_t memory_bytes(const struct mem_pool *p)
{
	return p->capacity * p->stride;
}

static void *memory_of(const struct mem_pool *p)
{
	return (void *)(p->base - p->before);
}

static bool same_state(const struct mem_pool *a, const struct mem_pool *b)
{
	return a->in_use == b->in_use && a->high_water == b->high_water && a->allocs == b->allocs &&
	       a->frees == b->frees && a->failures == b->failures &&
	       a->free_list.sealed == b->free_list.sealed && a->free_list.copy == b->free_list.copy;
}

static void refused(struct model *m, void *block, enum pool_error should)
{
	struct mem_pool before = m->pool;
	uint8_t *memory = exact_copy(memory_of(&m->pool), memory_bytes(&m->pool));

	require(pool_free(&m->pool, block) == should, "a wrong free is refused by its name");
	require(m->pool.last.error == should && m->pool.errors == before.errors + 1, "and noted");
	require(same_state(&before, &m->pool) &&
			!memcmp(memory, memory_of(&m->pool), memory_bytes(&m->pool)),
		"and changes nothing");
	free(memory);
}

static void free_wrongly(struct model *m, struct choices *c)
{
	unsigned int how = choose(c, 4);
	uint8_t *first = (uint8_t *)m->pool.base;

	if (how == 0 && m->freed_count) {
		refused(m, m->freed[choose(c, (unsigned int)m->freed_count)], POOL_DOUBLE_FREE);
	} else if (how == 1 && m->count) {
		size_t off = 1 + choose(c, 256) % (m->pool.block - 1);

		refused(m, m->live[choose(c, (unsigned int)m->count)] + off, POOL_MISALIGNED);
	} else if (how == 2) {
		refused(m, no_memory(), POOL_FOREIGN);
		refused(m, m, POOL_FOREIGN);
		refused(m, (void *)m->other.base, POOL_WRONG_POOL);
	} else if (how == 3) {
		refused(m, first - 1 - choose(c, 16), POOL_FOREIGN);
		refused(m, first + m->pool.span + choose(c, 16), POOL_FOREIGN);
		refused(m, first + m->pool.capacity * m->pool.stride, POOL_FOREIGN);
	}
}

/* A byte that is no longer what it was; where, and how it looked. */
struct damage {
	uint8_t *at;
	uint8_t was;
};

static struct damage flip(uint8_t *at, struct choices *c)
{
	struct damage d = { at, *at };

	*at ^= (uint8_t)(1U << choose(c, 8));
	return d;
}

/* pool_check() sees exactly this, and what it sees is gone when the byte is as it was. */
static void seen_and_mended(struct model *m, struct damage d, enum pool_error should)
{
	size_t errors = m->pool.errors;

	require(pool_check(&m->pool) > 0, "a walk sees a changed byte");
	require(m->pool.last.error == should, "and knows it by its name");
	*d.at = d.was;
	require(pool_check(&m->pool) == 0, "a pool that is whole again is found whole");
	m->pool.errors = errors;
}

static void write_beyond(struct model *m, struct choices *c)
{
	size_t i = choose(c, (unsigned int)m->count);
	uint8_t *block = m->live[i];
	bool behind = choose(c, 2);
	size_t room = m->pool.block + m->pool.behind - m->pool.size;
	struct damage d = flip(behind ? block + m->pool.size + choose(c, 256) % room
				      : block - 1 - choose(c, 16) % m->pool.before,
			       c);

	seen_and_mended(m, d, behind ? POOL_OVERFLOW : POOL_UNDERFLOW);
}

static void write_after_free(struct model *m, struct choices *c)
{
	uint8_t *block = m->freed[choose(c, (unsigned int)m->freed_count)];
	size_t offset = choose(c, 256) % m->pool.size;

	seen_and_mended(m, flip(block + offset, c),
			offset < sizeof(struct pool_link) ? POOL_SMASHED_LINK
							  : POOL_WRITE_AFTER_FREE);
}

static void smash_head(struct model *m, struct choices *c)
{
	uint8_t *head = (uint8_t *)&m->pool.free_list;

	seen_and_mended(m, flip(head + choose(c, sizeof(m->pool.free_list)), c), POOL_SMASHED_LINK);
}

static void misuse_any(struct model *m, struct choices *c)
{
	unsigned int how = choose(c, 8);

	if (how < 4)
		free_wrongly(m, c);
	else if (how < 6 && m->count)
		write_beyond(m, c);
	else if (how == 6 && m->freed_count)
		write_after_free(m, c);
	else
		smash_head(m, c);
}

/*
 * The same, and nobody mends it: the operation that meets it says so, and gives nothing that could be
 * somebody else's. The end of the pool, as far as the model goes.
 */
static void overflow_for_good(struct model *m, struct choices *c)
{
	uint8_t *block = m->live[choose(c, (unsigned int)m->count)];
	bool behind = choose(c, 2);

	if (behind)
		flip(block + m->pool.size + choose(c, (unsigned int)m->pool.behind), c);
	else
		flip(block - 1 - choose(c, (unsigned int)m->pool.before), c);
	require(pool_free(&m->pool, block) == (behind ? POOL_OVERFLOW : POOL_UNDERFLOW),
		"a smashed zone is found at the free");
	require(pool_free(&m->pool, block) == POOL_DOUBLE_FREE, "and the block was given back");
	require(pool_check(&m->pool) == 0, "and nobody looks at it any more");
}

static void write_for_good(struct model *m, struct choices *c)
{
	uint8_t *next = pool_alloc(&m->pool);
	size_t offset = choose(c, 256) % m->pool.size;
	bool link = offset < sizeof(struct pool_link);

	require(next, "a pool that is not used up gives a block");
	require(pool_free(&m->pool, next) == POOL_OK, "and takes it back");
	flip(next + offset, c);
	require(!pool_alloc(&m->pool), "a free block that was written to is not given out");
	require(m->pool.last.error == (link ? POOL_SMASHED_LINK : POOL_WRITE_AFTER_FREE),
		"by its name");
	require(m->pool.last.address == (uintptr_t)next, "and its place");
	require(!link || !pool_alloc(&m->pool), "what is behind a smashed link is lost");
}

static void smash_for_good(struct model *m, struct choices *c)
{
	uint8_t *block = m->live[0];

	flip((uint8_t *)&m->pool.free_list + choose(c, sizeof(m->pool.free_list)), c);
	require(pool_free(&m->pool, block) == POOL_SMASHED_LINK, "a free sees a smashed head");
	require((pool_check(&m->pool) > 0) == (m->count < m->capacity), "the others are lost");
	require(pool_alloc(&m->pool) == block, "and makes a list of its own");
	require(!pool_alloc(&m->pool), "which has no other block");
}

static void break_for_good(struct model *m, struct choices *c)
{
	unsigned int how = choose(c, 3);

	if (how == 0 && m->count)
		overflow_for_good(m, c);
	else if (how == 1 && m->count)
		smash_for_good(m, c);
	else if (m->count < m->capacity)
		write_for_good(m, c);
	for (size_t i = 0; i < m->capacity; i++) {
		uint8_t *block = pool_alloc(&m->pool);

		for (size_t n = 0; block && n < m->count; n++)
			require(how == 1 || !overlap(block, m->live[n], m->block),
				"no block has two owners");
	}
}

static void play(struct model *m, struct choices *c)
{
	/* Kept for the end, when there would be no choice left. */
	struct choices ending = { c->at, c->left < ENDING_BYTES ? c->left : ENDING_BYTES };

	c->at += ending.left;
	c->left -= ending.left;
	while (c->left) {
		unsigned int what = choose(c, 8);

		if (what < 4)
			allocate(m);
		else if (what < 7 && m->count)
			give_back(m, choose(c, (unsigned int)m->count));
		else
			misuse_any(m, c);
		check_counts(m);
	}
	require(pool_check(&m->pool) == 0, "a pool that was used well is found whole");
	if (choose(&ending, 2)) {
		break_for_good(m, &ending);
		return;
	}
	while (m->count)
		give_back(m, choose(c, (unsigned int)m->count));
	check_counts(m);
	while (m->count < m->capacity)
		allocate(m);
	allocate(m);
	check_counts(m);
}

/* What could not be made, or was never tried: it gives nothing, by name, and takes nothing. */
static void refused_unmade(struct mem_pool *pool)
{
	size_t errors = pool->errors;

	require(!pool_alloc(pool), "what was not made gives nothing");
	require(pool->errors == errors + 1 && pool->last.error == POOL_NOT_MADE, "and says why");
	require(pool_free(pool, &pool->free_list) == POOL_FOREIGN, "it takes nothing");
	require(!pool_check(pool) && !pool->in_use && !pool->allocs, "and has nothing");
}

/* Sizes at the edges: either there is no pool, or one whose every block is whole. */
static void make_any(struct choices *c)
{
	size_t block = choose_number(c), capacity = choose_number(c), size;
	struct mem_pool pool;

	memset(&pool, 0, sizeof(pool));
	refused_unmade(&pool);
	memset(&pool, 0xa5, sizeof(pool));
	if (!pool_init(&pool, "any", block, capacity)) {
		refused_unmade(&pool);
		return;
	}
	require(block, "blocks of no bytes are refused");
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
