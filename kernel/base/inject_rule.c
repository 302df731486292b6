/* See inject_rule.h. */
#include "base/inject_rule.h"

#include "base/cmdline.h"
#include "base/string.h"

static const struct option {
	const char *key; /* with its '=' */
	size_t member;
	uint64_t min, max;
	const char *allowed;
} options[] = {
	{ "nth=", offsetof(struct inject_rule, nth), 1, UINT64_MAX, "which call fails, from 1" },
	{ "every=", offsetof(struct inject_rule, every), 1, UINT64_MAX,
	  "each how manieth call fails, from 1" },
	{ "prob=", offsetof(struct inject_rule, prob), 1, 100, "calls of 100 that fail, 1 to 100" },
	{ "seed=", offsetof(struct inject_rule, seed), 0, UINT64_MAX, "any number" },
	{ "times=", offsetof(struct inject_rule, times), 1, UINT64_MAX,
	  "how often it may fail, from 1" },
	{ "space=", offsetof(struct inject_rule, space), 1, UINT64_MAX,
	  "bytes that pass before it, from 1" },
};

static const char too_long[] = "this is longer than any word here";
static const char unknown[] = "expected nth=, every=, prob=, seed=, times=, space= or who=";

/* The piece at text, up to its comma or end, into a buffer. False, and cut, where it is too long. */
static bool take(char *to, size_t size, const char *text)
{
	size_t n = 0;

	while (text[n] && text[n] != ',')
		n++;
	string_copy(to, text, n < size ? n + 1 : size);
	return n < size;
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static const char *set_number(struct inject_rule *r, unsigned int *given)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		uint64_t number;

		if (!starts_with(r->bad, o->key))
			continue;
		if (*given & 1U << i)
			return "this stands there twice";
		*given |= 1U << i;
		if (!cmdline_number(r->bad + strlen(o->key), &number) || number < o->min ||
		    number > o->max)
			return o->allowed;
		*(uint64_t *)((char *)r + o->member) = number;
		return NULL;
	}
	return unknown;
}

static const char *set_who(struct inject_rule *r)
{
	const char *name = r->bad + strlen("who=");

	if (r->who[0])
		return "this stands there twice";
	if (!*name || strlen(name) >= INJECT_WHO_MAX)
		return "a thread's name, 1 to 15 characters";
	string_copy(r->who, name, sizeof(r->who));
	return NULL;
}

/* What is right by itself, but not together. */
static const char *combined(const struct inject_rule *r, bool seed_given)
{
	if ((r->nth != 0) + (r->every != 0) + (r->prob != 0) > 1)
		return "nth=, every= and prob= exclude each other";
	if (seed_given && !r->prob)
		return "seed= is for prob=";
	return NULL;
}

const char *inject_rule_parse(struct inject_rule *r, const char *text)
{
	unsigned int given = 0;
	const char *why = NULL;

	*r = (struct inject_rule){ .calls = 0 };
	if (!take(r->bad, sizeof(r->bad), text))
		return too_long;
	string_copy(r->site, r->bad, sizeof(r->site));
	for (text += strlen(r->site); *text && !why; text += strlen(r->bad)) {
		if (!take(r->bad, sizeof(r->bad), ++text))
			return too_long;
		why = starts_with(r->bad, "who=") ? set_who(r) : set_number(r, &given);
	}
	return why ? why : combined(r, given & 1U << 3);
}

static bool has_space(struct inject_rule *r, size_t bytes)
{
	if (r->space && bytes <= r->space) {
		r->space -= bytes;
		return true;
	}
	r->space = 0;
	return false;
}

/* splitmix64: any seed will do, 0 too. */
static uint64_t draw(struct inject_rule *r)
{
	uint64_t z = (r->seed += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static bool is_chosen(struct inject_rule *r)
{
	if (r->nth)
		return r->eligible >= r->nth;
	if (r->every)
		return r->eligible % r->every == 0;
	return !r->prob || draw(r) % 100 < r->prob;
}

bool inject_rule_fails(struct inject_rule *r, size_t bytes, const char *thread)
{
	uint64_t most = r->times ? r->times : r->nth ? 1 : UINT64_MAX;

	if (r->who[0] && strcmp(r->who, thread) != 0)
		return false;
	r->calls++;
	if (has_space(r, bytes))
		return false;
	r->eligible++;
	if (!is_chosen(r) || r->injected == most)
		return false;
	r->injected++;
	return true;
}
