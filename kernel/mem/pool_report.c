/* What a pool says of itself, and of what it found. See pool.h. */
#include "base/protect.h"
#include "mem/pool.h"
#include "report/report.h"

static const struct {
	const char *name;
	enum protection detector;
} errors[NR_POOL_ERRORS] = {
	[POOL_OK] = { "ok", PROTECT_POOL_LIMIT },
	[POOL_FOREIGN] = { "foreign-free", PROTECT_POOL_CHECK },
	[POOL_WRONG_POOL] = { "wrong-pool-free", PROTECT_POOL_CHECK },
	[POOL_MISALIGNED] = { "misaligned-free", PROTECT_POOL_CHECK },
	[POOL_DOUBLE_FREE] = { "double-free", PROTECT_POOL_CHECK },
	[POOL_NOT_MADE] = { "not-made", PROTECT_POOL_CHECK },
	[POOL_SMASHED_LINK] = { "smashed-link", PROTECT_POOL_LINK },
	[POOL_WRITE_AFTER_FREE] = { "write-after-free", PROTECT_POISON },
	[POOL_UNDERFLOW] = { "underflow", PROTECT_REDZONE },
	[POOL_OVERFLOW] = { "overflow", PROTECT_REDZONE },
};

const char *pool_error_name(enum pool_error error)
{
	return errors[error].name;
}

const char *pool_detector(enum pool_error error)
{
	return protect_name(errors[error].detector);
}

void pool_report(const struct mem_pool *pool)
{
	record_begin();
	record_add(
		"[pool] %s block=%lu capacity=%lu in_use=%lu high_water=%lu allocs=%lu frees=%lu failures=%lu",
		pool->name, pool->block, pool->capacity, pool->in_use, pool->high_water,
		pool->allocs, pool->frees, pool->failures);
	if (pool->errors)
		record_add(" errors=%lu", pool->errors);
	if (pool->last_failing_caller)
		record_add(" refused=%pR", (void *)pool->last_failing_caller);
	record_end();
}

/* Where an opened link leads: a key was in it, so the number itself says nothing. */
static void add_target(const char *key, const struct mem_pool *pool, uintptr_t target)
{
	if (!target)
		record_add(" %s=end", key);
	else if (pool_owns(pool, (void *)target) && (target - pool->base) % pool->stride == 0)
		record_add(" %s=block:%lu", key, pool_index(pool, target));
	else
		record_add(" %s=wild", key);
}

static void add_site(const char *key, uintptr_t site)
{
	if (site)
		record_add(" %s=%pR", key, (void *)site);
	else
		record_add(" %s=never", key);
}

static bool is_of_block(const struct pool_finding *f)
{
	return f->address && pool_owns(f->owner, (void *)f->address);
}

static void add_block(const struct pool_finding *f)
{
	if (is_of_block(f))
		record_add(" block=%lu", pool_index(f->owner, f->address));
	else if (f->error == POOL_NOT_MADE)
		return;
	else if (f->error == POOL_FOREIGN)
		record_add(" at=%pA", (void *)f->address);
	else
		record_add(" block=none"); /* the list's head is in none */
}

/* Which words: at most one of the three. */
static void add_words(const struct pool_finding *f)
{
	if (f->error == POOL_SMASHED_LINK) {
		add_target("expected", f->owner, f->expected);
		add_target("found", f->owner, f->found);
	} else if (f->error >= POOL_WRITE_AFTER_FREE) {
		record_add(" offset=%ld expected=0x%lx found=0x%lx", f->offset, f->expected,
			   f->found);
	} else if (f->error == POOL_MISALIGNED) {
		record_add(" offset=%ld", f->offset);
	}
}

void pool_report_finding(const struct mem_pool *pool)
{
	const struct pool_finding *f = &pool->last;

	record_begin();
	record_add("[pool] %s pool=%s", errors[f->error].name, pool->name ? pool->name : "unnamed");
	if (f->error == POOL_WRONG_POOL)
		record_add(" owner=%s", f->owner->name);
	add_block(f);
	add_words(f);
	if (is_of_block(f)) {
		const struct pool_block *b = &f->owner->blocks[pool_index(f->owner, f->address)];

		add_site("allocated", b->allocated_by);
		add_site("freed", b->freed_by);
	}
	add_site("now", f->caller);
	if (f->error == POOL_SMASHED_LINK)
		record_add(" raw=0x%lx", f->raw);
	record_end();
}
