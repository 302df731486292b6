/* See pool_guard.h. */
#include "mem/pool_guard.h"

#include "core/poison.h"
#include "core/protect.h"

static uint64_t keys;

/* splitmix64's last step: neighbouring numbers become far ones. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void pool_seed(uint64_t seed)
{
	keys = seed;
}

uint64_t pool_next_key(void)
{
	return mix(keys += 0x9e3779b97f4a7c15);
}

void *pool_shadow(const struct mem_pool *pool, uintptr_t block)
{
	return pool->mode ? pool->mode->shadow(pool, block) : (void *)block;
}

/* --- links ----------------------------------------------------------------------------------------- */

static uint64_t rotate(uint64_t word)
{
	return word << 29 | word >> 35;
}

/* Where a link lies is in it, so that a copy of it elsewhere is none. */
static uint64_t place_of(const struct mem_pool *pool, uintptr_t of)
{
	return of ? of : (uintptr_t)&pool->free_list;
}

struct pool_link pool_seal(const struct mem_pool *pool, uintptr_t of, uintptr_t next)
{
	uint64_t word = next ^ place_of(pool, of);

	if (!protected(PROTECT_POOL_LINK))
		return (struct pool_link){ next, next };
	return (struct pool_link){ word ^ pool->key, rotate(word) ^ ~mix(pool->key) };
}

/* The two opened, equal if nobody wrote there. */
struct opened {
	uintptr_t next, copy;
};

static struct opened unseal(const struct mem_pool *pool, uintptr_t of, struct pool_link link)
{
	uint64_t copy = link.copy ^ ~mix(pool->key);

	if (!protected(PROTECT_POOL_LINK))
		return (struct opened){ link.sealed, link.sealed };
	return (struct opened){ link.sealed ^ pool->key ^ place_of(pool, of),
				(copy >> 29 | copy << 35) ^ place_of(pool, of) };
}

/* --- what is wrong --------------------------------------------------------------------------------- */

struct pool_finding *pool_note(struct mem_pool *pool, enum pool_error error, uintptr_t address,
			       uintptr_t caller)
{
	struct pool_finding *f = &pool->last;

	*f = (struct pool_finding){
		.error = error, .owner = pool, .address = address, .caller = caller
	};
	pool->errors++;
	return f;
}

/* From the first byte in [from, to) that is not the word's, its address; `to` if there is none. */
static uintptr_t first_other(uintptr_t from, uintptr_t to, uint64_t word)
{
	while (from < to) {
		if (from % 8 == 0 && to - from >= 8 && *(const uint64_t *)from == word)
			from += 8;
		else if (*(const uint8_t *)from == (uint8_t)word)
			from++;
		else
			break;
	}
	return from;
}

static void fill(uintptr_t from, uintptr_t to, uint64_t word)
{
	while (from < to) {
		size_t step = from % 8 == 0 && to - from >= 8 ? 8 : 1;

		if (step == 8)
			*(uint64_t *)from = word;
		else
			*(uint8_t *)from = (uint8_t)word;
		from += step;
	}
}

void pool_poison(const struct mem_pool *pool, uintptr_t block)
{
	uintptr_t memory = (uintptr_t)pool_shadow(pool, block);

	if (protected(PROTECT_POISON))
		fill(memory, memory + pool->size, POISON_FREED);
}

void pool_fill_zones(const struct mem_pool *pool, uintptr_t block)
{
	uintptr_t memory = (uintptr_t)pool_shadow(pool, block);

	if (!protected(PROTECT_REDZONE))
		return;
	fill(memory - pool->before, memory, POISON_REDZONE);
	fill(memory + pool->size, memory + pool->block + pool->behind, POISON_REDZONE);
}

/* Should [from, to) of the block hold the word in each of its bytes? The offset of the first that does not. */
static bool is_whole(const struct mem_pool *pool, uintptr_t block, long from, long to,
		     uint64_t word, long *wrong)
{
	uintptr_t memory = (uintptr_t)pool_shadow(pool, block);

	*wrong = (long)(first_other(memory + (uintptr_t)from, memory + (uintptr_t)to, word) -
			memory);
	return *wrong == to;
}

static enum pool_error note_word(struct mem_pool *pool, enum pool_error error, uintptr_t block,
				 long offset, uint64_t expected, uintptr_t caller)
{
	struct pool_finding *f = pool_note(pool, error, block, caller);
	uintptr_t at = (uintptr_t)pool_shadow(pool, block) + (uintptr_t)offset;

	f->offset = offset;
	f->expected = expected;
	f->found = *(const uint64_t *)ALIGN_DOWN(at, 8);
	pool_report_finding(pool);
	return error;
}

enum pool_error pool_look_at_zones(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	long wrong;

	if (!protected(PROTECT_REDZONE))
		return POOL_OK;
	if (!is_whole(pool, block, -(long)pool->before, 0, POISON_REDZONE, &wrong))
		return note_word(pool, POOL_UNDERFLOW, block, wrong, POISON_REDZONE, caller);
	if (!is_whole(pool, block, (long)pool->size, (long)(pool->block + pool->behind),
		      POISON_REDZONE, &wrong))
		return note_word(pool, POOL_OVERFLOW, block, wrong, POISON_REDZONE, caller);
	return POOL_OK;
}

enum pool_error pool_look_at_poison(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	long wrong;

	if (!protected(PROTECT_POISON) ||
	    is_whole(pool, block, sizeof(struct pool_link), (long)pool->size, POISON_FREED, &wrong))
		return POOL_OK;
	return note_word(pool, POOL_WRITE_AFTER_FREE, block, wrong, POISON_FREED, caller);
}

enum pool_error pool_follow(struct mem_pool *pool, uintptr_t of, uintptr_t caller, uintptr_t *next)
{
	const struct pool_link *link = of ? pool_shadow(pool, of) : &pool->free_list;
	struct opened o = unseal(pool, of, *link);
	struct pool_finding *f;

	*next = o.next;
	if (o.next == o.copy)
		return POOL_OK;
	f = pool_note(pool, POOL_SMASHED_LINK, of, caller);
	f->expected = o.copy;
	f->found = o.next;
	f->raw = link->sealed;
	pool_report_finding(pool);
	return POOL_SMASHED_LINK;
}
