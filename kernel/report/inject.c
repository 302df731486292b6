/* See inject.h. */
#include "report/inject.h"

#include "base/callers.h"
#include "base/current.h"
#include "report/format.h"
#include "base/string.h"
#include "report/report.h"

#define NOTED 8 /* failures whose callers are kept for the report */

_Static_assert(INJECT_WHO_MAX == THREAD_NAME_MAX, "who= is a thread's name");

extern struct inject_site *const __inject_sites_start[];
extern struct inject_site *const __inject_sites_end[];

static struct inject_rule rule;
static struct inject_site *armed;

static struct {
	uint64_t call;
	uintptr_t caller;
	char thread[THREAD_NAME_MAX];
} noted[NOTED];

struct inject_site *inject_next(const struct inject_site *site)
{
	struct inject_site *const *row = __inject_sites_start;

	while (site && *row++ != site)
		;
	return row < __inject_sites_end ? *row : NULL;
}

void inject_arm(struct inject_site *site, const struct inject_rule *how)
{
	inject_disarm();
	rule = *how;
	armed = site;
	site->armed = true;
}

void inject_disarm(void)
{
	if (armed)
		armed->armed = false;
	armed = NULL;
}

const struct inject_rule *inject_armed(void)
{
	return armed ? &rule : NULL;
}

/* Not printed at once: the caller may be anywhere, on the smallest stack. */
bool inject_decide(struct inject_site *site, size_t bytes)
{
	if (site != armed || !inject_rule_fails(&rule, bytes, current()->name))
		return false;
	if (rule.injected <= NOTED) {
		noted[rule.injected - 1].call = rule.calls;
		callers(&noted[rule.injected - 1].caller, 1);
		string_copy(noted[rule.injected - 1].thread, current()->name, THREAD_NAME_MAX);
	}
	return true;
}

static struct inject_site *find_site(const char *name)
{
	struct inject_site *site = inject_next(NULL);

	while (site && strcmp(site->name, name) != 0)
		site = inject_next(site);
	return site;
}

__attribute__((noreturn)) static void refuse_site(const char *name)
{
	static char names[120];
	struct text t = text_in(names, sizeof(names));

	for (const struct inject_site *s = inject_next(NULL); s && text_word(&t, " ", s->name);)
		s = inject_next(s);
	end("bad-args why=bad-value key=fault : \"%s\" is no site; there are: %s%s; lab=list prints all",
	    name, names, t.cut ? " ..." : "");
}

void inject_boot_line(const char *value)
{
	struct inject_rule read;
	const char *why = inject_rule_parse(&read, value);
	struct inject_site *site = find_site(read.site);

	if (!site)
		refuse_site(read.site[0] ? read.site : read.bad);
	if (why)
		end("bad-args why=bad-value key=fault : \"%s\": %s", read.bad, why);
	inject_arm(site, &read);
}

static void add_number(const char *key, uint64_t number)
{
	if (number)
		record_add(" %s=%lu", key, number);
}

void inject_banner(void)
{
	if (!armed)
		return;
	record_begin();
	record_add("[boot] inject site=%s", armed->name);
	add_number("nth", rule.nth);
	add_number("every", rule.every);
	add_number("prob", rule.prob);
	if (rule.prob)
		record_add(" seed=%lu", rule.seed);
	add_number("times", rule.times);
	add_number("space", rule.space);
	if (rule.who[0])
		record_add(" who=%s", rule.who);
	record_add(" : FAULTS ARE BEING INJECTED: what fails below may be no bug; %s",
		   armed->sentence);
	record_end();
}

void inject_list(void)
{
	for (const struct inject_site *s = inject_next(NULL); s; s = inject_next(s))
		report("[list] site %s function=%s failure=%ld : %s", s->name, s->function,
		       (long)s->failure, s->sentence);
}

void inject_report(void)
{
	if (!armed)
		return;
	for (size_t i = 0; i < NOTED && i < rule.injected; i++)
		report("[inject] failed call=%lu at=%pR thread=%s", noted[i].call,
		       (void *)noted[i].caller, noted[i].thread);
	report("[inject] site=%s calls=%lu injected=%lu", armed->name, rule.calls, rule.injected);
}
