/*
 * base/inject_rule.c: any text behind fault= is taken or refused with the piece at fault; what is taken is
 * what stands there; and of a row of calls those fail that the numbers say, found here by looking at the
 * whole row at once.
 *
 * The first byte says how to read the rest: as the text itself; as the text in an alphabet of pieces that are
 * nearly right; as choices for a rule that is right, and for the calls that are put to it.
 */
#include "host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmdline.c"     /* NOLINT(bugprone-suspicious-include): host.h says why */
#include "base/inject_rule.c" /* NOLINT(bugprone-suspicious-include): likewise */

#define CALLS 64

/* Is s the piece of text between two commas (or its ends) that `piece` is the beginning of? */
static bool is_piece(const char *text, const char *piece)
{
	size_t n = strlen(piece);

	for (const char *s = text; s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
		if (strncmp(s, piece, n) == 0)
			return true;
	return false;
}

/* What key= says in the text: its first such piece, read by the C library. 0: there is none. */
static uint64_t said(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 0) : 0;
}

static void check_taken(const char *text, const struct inject_rule *r)
{
	const char *who = strstr(text, ",who=");
	size_t n = strcspn(text, ",");

	require(strlen(r->site) == n && strncmp(r->site, text, n) == 0, "the site");
	require((r->nth != 0) + (r->every != 0) + (r->prob != 0) <= 1, "one of three");
	require(r->prob <= 100, "prob is of 100");
	require(!r->who[0] == !who, "who is said or not");
	require(!who || (strncmp(who + 5, r->who, strlen(r->who)) == 0 &&
			 strcspn(who + 5, ",") == strlen(r->who)),
		"who it is");
	require(!r->nth == !strstr(text, ",nth="), "nth is said or not");
	require(!r->times == !strstr(text, ",times="), "times is said or not");
	require(!r->calls && !r->eligible && !r->injected, "nothing has happened yet");
}

static void check_text(const char *bytes, size_t size)
{
	struct inject_rule *r = malloc(sizeof(*r));
	char *text = calloc(size + 1, 1);
	const char *why;

	memcpy(text, bytes, size);
	memset(r, 0xa5, sizeof(*r));
	why = inject_rule_parse(r, text);
	require(strlen(r->bad) < sizeof(r->bad) && is_piece(text, r->bad), "bad is a piece of it");
	require(strlen(r->site) < sizeof(r->site) && strlen(r->who) < sizeof(r->who), "bounded");
	if (!why)
		check_taken(text, r);
	free(text);
	free(r);
}

static void check_pieces(struct choices *c)
{
	static const char *const pieces[] = {
		"pool.alloc", ",",	"nth=",	  "every=",    "prob=",
		"seed=",      "times=", "space=", "who=",      "1",
		"0",	      "100",	"101",	  "lab",       "=",
		"0x10",	      "4K",	",nth=2", ",who=idle", "18446744073709551616",
		",prob=50",   ",seed=7"
	};
	char text[256] = "";
	size_t length = 0;

	while (c->left) {
		const char *piece = pieces[choose(c, ARRAY_SIZE(pieces))];

		if (length + strlen(piece) >= sizeof(text))
			break;
		length += (size_t)sprintf(text + length, "%s", piece);
	}
	check_text(text, length);
}

struct call {
	size_t bytes;
	bool is_ours; /* by the thread that who= names */
	bool failed;
};

/* How many of the calls before the n-th are ours and behind space=: found from the beginning each time. */
static size_t eligible_before(const struct call *calls, size_t n, uint64_t space)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (!calls[i].is_ours)
			continue;
		if (space && calls[i].bytes <= space)
			space -= calls[i].bytes;
		else
			count++, space = 0;
	}
	return count;
}

static void check_call(const struct call *calls, size_t i, const struct inject_rule *said_rule,
		       size_t failed_before)
{
	size_t before = eligible_before(calls, i, said_rule->space);
	size_t number = eligible_before(calls, i + 1, said_rule->space);
	size_t most = said_rule->times;

	if (number == before) {
		require(!calls[i].failed, "a call that does not count passes");
		return;
	}
	if (said_rule->nth) {
		size_t end = said_rule->nth + (most ? most : 1);

		require(calls[i].failed == (number >= said_rule->nth && number < end), "nth");
	} else if (said_rule->every) {
		require(calls[i].failed == (number % said_rule->every == 0 &&
					    (!most || number / said_rule->every <= most)),
			"every");
	} else if (!said_rule->prob || said_rule->prob == 100) {
		require(calls[i].failed == (!most || number <= most), "always");
	} else {
		require(!calls[i].failed || !most || failed_before < most, "no more than times");
	}
}

static void check_calls(struct choices *c)
{
	static const char *const triggers[] = { "", ",nth=", ",every=", ",prob=" };
	unsigned int trigger = choose(c, 4);
	struct inject_rule r, again, as_said;
	struct call calls[CALLS];
	char text[128];
	size_t failed = 0, ours = 0;
	int n = sprintf(text, "x.y%s", triggers[trigger]);

	if (trigger)
		n += sprintf(text + n, "%u", 1 + choose(c, 20));
	if (choose(c, 2))
		n += sprintf(text + n, ",times=%u", 1 + choose(c, 8));
	if (choose(c, 2))
		n += sprintf(text + n, ",space=%u", 1 + choose(c, 200));
	if (trigger == 3 && choose(c, 2))
		n += sprintf(text + n, ",seed=%u", (unsigned int)choose(c, 256));
	sprintf(text + n, "%s", choose(c, 2) ? ",who=lab" : "");
	require(!inject_rule_parse(&r, text), "a right rule is taken");
	require(r.nth == said(text, "nth=") && r.every == said(text, "every=") &&
			r.prob == said(text, "prob=") && r.times == said(text, "times=") &&
			r.space == said(text, "space=") && r.seed == said(text, "seed="),
		"as it stands there");
	again = as_said = r;
	for (size_t i = 0; i < CALLS; i++) {
		bool is_lab = choose(c, 4) != 3;
		const char *thread = is_lab ? "lab" : "idle";

		calls[i].bytes = choose(c, 64);
		calls[i].is_ours = is_lab || !r.who[0];
		calls[i].failed = inject_rule_fails(&r, calls[i].bytes, thread);
		require(calls[i].failed == inject_rule_fails(&again, calls[i].bytes, thread),
			"the same rule gives the same answers");
		check_call(calls, i, &as_said, failed);
		failed += calls[i].failed;
		ours += calls[i].is_ours;
		require(r.calls == ours && r.injected == failed, "counts");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };
	unsigned int how = choose(&c, 3);

	if (how == 0)
		check_text((const char *)c.at, c.left);
	else if (how == 1)
		check_pieces(&c);
	else
		check_calls(&c);
	return 0;
}
