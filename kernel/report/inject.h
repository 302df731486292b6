/*
 * Fault injection: places where an operation may fail, and can be made to. A site registers itself, like
 * a lab, beside the function that it belongs to, and asks at that function's head:
 *
 *     INJECT_SITE(pool, alloc, pool_alloc, 0, "no block, as if all were in use")
 *
 *     void *pool_alloc(struct mem_pool *pool)
 *     {
 *             if (inject(&pool_alloc_site, pool->block))
 *                     return NULL;
 *
 * That makes `fault=pool.alloc,nth=3` work on the boot line, `hw inject pool.alloc nth=3` in GDB (which
 * needs nothing of this at run time: it makes the function return `failure` itself), a row in lab=list,
 * and part of each inject.sweep. The function must be called by name, and never inlined.
 *
 * One site is armed at a time. Nothing here is locked: only CPU 0 allocates, and the sites that other CPUs
 * come to (mem/growspace.c) ask while they hold their own lock.
 */
#ifndef REPORT_INJECT_H
#define REPORT_INJECT_H

#include "base/inject_rule.h"

struct inject_site {
	const char *name;     /* family.name */
	const char *function; /* whose calls are counted */
	int64_t failure;      /* what it returns when it fails */
	const char *sentence; /* what that means to its caller */
	bool for_good;	      /* what it gives is never given back */
	bool armed;
};

#define INJECT_SITE(family, label, function_, failure_, sentence_, ...)                            \
	static struct inject_site family##_##label##_site = { .name = #family "." #label,          \
							      .function = #function_,              \
							      .failure = (failure_),               \
							      .sentence = (sentence_),             \
							      ##__VA_ARGS__ };                     \
	_Static_assert(sizeof(&(function_)), "the function must be declared");                     \
	static struct inject_site *const family##_##label##_row                                    \
		__attribute__((used, section(".inject_sites." #family "." #label))) =              \
			&family##_##label##_site;

/* See inject(). */
bool inject_decide(struct inject_site *site, size_t bytes);

/* Must this call, for so many bytes, fail? A load and a branch while the site is not armed. */
static inline bool inject(struct inject_site *site, size_t bytes)
{
	return __builtin_expect(site->armed, false) && inject_decide(site, bytes);
}

/* Walk the sites in the order of their names; NULL to begin and at the end. */
struct inject_site *inject_next(const struct inject_site *site);

/* From now on calls at the site are put to this rule, instead of at any other; and at none. */
void inject_arm(struct inject_site *site, const struct inject_rule *how);
void inject_disarm(void);

/* The armed rule and its counts; NULL when none is. */
const struct inject_rule *inject_armed(void);

/* The boot line's fault=: arm it, or end in bad-args. */
void inject_boot_line(const char *value);

/* [boot] inject, loudly, if anything is armed; [list] site for each. */
void inject_banner(void);
void inject_list(void);

/* [inject] failed for the first failures, then site= calls= injected=, before [end]; nothing if unarmed. */
void inject_report(void);

#endif
