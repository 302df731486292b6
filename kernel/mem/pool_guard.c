/* See pool_guard.h. */
#include "mem/pool_guard.h"

#include "arch/words.h"
#include "base/poison.h"

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

void pool_key(struct mem_pool *pool)
{
	pool->key = pool_next_key();
	pool->copy_key = ~mix(pool->key);
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

/* Words, with bytes before the first whole one and after the last: blocks have any size, zones begin anywhere. */
struct span {
	uint8_t *head;
	uint64_t *words, *tail;
	uint8_t *end;
};

static inline struct span span_of(uintptr_t from, uintptr_t to)
{
	uintptr_t words = ALIGN_UP(from, 8) < to ? ALIGN_UP(from, 8) : to;

	return (struct span){ (uint8_t *)from, (uint64_t *)words,
			      (uint64_t *)(words + ALIGN_DOWN(to - words, 8)), (uint8_t *)to };
}

static inline uint8_t *first_other_byte(uint8_t *at, const void *end, uint64_t word)
{
	while (at != end && *at == (uint8_t)word)
		at++;
	return at;
}

/* From the first byte in [from, to) that is not the word's, its address; `to` if there is none. */
__attribute__((noinline)) static uintptr_t first_other(uintptr_t from, uintptr_t to, uint64_t word)
{
	struct span s = span_of(from, to);
	uint8_t *other = first_other_byte(s.head, s.words, word);

	if (other != (uint8_t *)s.words)
		return (uintptr_t)other;
	while (s.words != s.tail && *s.words == word)
		s.words++;
	return (uintptr_t)first_other_byte((uint8_t *)s.words, s.end, word);
}

static inline void fill_bytes(uint8_t *at, const void *end, uint64_t word)
{
	while (at != end)
		*at++ = (uint8_t)word;
}

static void fill(uintptr_t from, uintptr_t to, uint64_t word)
{
	struct span s = span_of(from, to);

	fill_bytes(s.head, s.words, word);
	fill_words(s.words, s.tail, word);
	fill_bytes((uint8_t *)s.tail, s.end, word);
}

void pool_fill_poison(const struct mem_pool *pool, uintptr_t block)
{
	uintptr_t memory = (uintptr_t)pool_shadow(pool, block);

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

enum pool_error pool_read_zones(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	uintptr_t memory = (uintptr_t)pool_shadow(pool, block);
	uintptr_t end = memory + pool->block + pool->behind;
	uintptr_t wrong = first_other(memory - pool->before, memory, POISON_REDZONE);

	if (wrong != memory)
		return note_word(pool, POOL_UNDERFLOW, block, (long)(wrong - memory),
				 POISON_REDZONE, caller);
	wrong = first_other(memory + pool->size, end, POISON_REDZONE);
	if (wrong != end)
		return note_word(pool, POOL_OVERFLOW, block, (long)(wrong - memory), POISON_REDZONE,
				 caller);
	return POOL_OK;
}

enum pool_error pool_read_poison(struct mem_pool *pool, uintptr_t block, uintptr_t caller)
{
	uintptr_t memory = (uintptr_t)pool_shadow(pool, block);
	uintptr_t end = memory + pool->size;
	uintptr_t wrong = first_other(memory + sizeof(struct pool_link), end, POISON_FREED);

	if (wrong == end)
		return POOL_OK;
	return note_word(pool, POOL_WRITE_AFTER_FREE, block, (long)(wrong - memory), POISON_FREED,
			 caller);
}

enum pool_error pool_note_link(struct mem_pool *pool, uintptr_t of, struct pool_link link,
			       uintptr_t caller)
{
	struct pool_opened o = pool_unseal(pool, of, link);
	struct pool_finding *f = pool_note(pool, POOL_SMASHED_LINK, of, caller);

	f->expected = o.copy;
	f->found = o.next;
	f->raw = link.sealed;
	pool_report_finding(pool);
	return POOL_SMASHED_LINK;
}
