/* See param.h. */
#include "core/param.h"

#include "core/cmdline.h"
#include "core/format.h"
#include "core/report.h"
#include "core/string.h"

/* Is this a value that the parameter may have? */
static bool is_allowed(const struct param *p, uint64_t number)
{
	return number >= p->min && number <= p->max && (!p->name || p->name(number));
}

static bool read_value(const struct param *p, const char *value, uint64_t *number)
{
	if (!p->name)
		return cmdline_number(value, number) && is_allowed(p, *number);
	for (*number = p->min; is_allowed(p, *number); ++*number)
		if (strcmp(p->name(*number), value) == 0)
			return true;
	return false;
}

const char *param_names(const struct param *p)
{
	static char names[160];
	struct text t = { .buffer = names, .size = sizeof(names) - 1 };

	for (uint64_t n = p->min; is_allowed(p, n); n++)
		text_format(&t, n == p->min ? "%s" : ",%s", p->name(n));
	return names;
}

/* A lab's parameter; the refusal names key and value and says what is allowed. */
__attribute__((noreturn)) static void refuse_param(const struct param *p, const char *value)
{
	if (p->name)
		end("bad-args why=bad-value key=%s : \"%s\" is none of %s; %s", p->key, value,
		    param_names(p), p->help);
	end("bad-args why=out-of-range key=%s min=%lu max=%lu : \"%s\" is no number in that range; %s",
	    p->key, p->min, p->max, value, p->help);
}

static bool set(const struct lab *lab, const char *key, const char *value)
{
	for (size_t i = 0; i < lab->param_count; i++) {
		const struct param *p = &lab->params[i];
		uint64_t number;

		if (strcmp(p->key, key) != 0)
			continue;
		if (!read_value(p, value, &number))
			refuse_param(p, value);
		lab->values[i] = number;
		return true;
	}
	return false;
}

__attribute__((noreturn)) static void refuse_unknown(const struct lab *lab, const char *key)
{
	static char keys[96];
	struct text t = { .buffer = keys, .size = sizeof(keys) - 1 };

	for (size_t i = 0; i < lab->param_count; i++)
		text_format(&t, " %s", lab->params[i].key);
	end("bad-args why=unknown-key : \"%s\" is no key of %s; it takes:%s; lab=list prints all",
	    key, lab->name, lab->param_count ? keys : " none");
}

void param_set(const struct lab *lab, const char *key, const char *value)
{
	if (!set(lab, key, value))
		refuse_unknown(lab, key);
}

static void add_value(const struct param *p, uint64_t value)
{
	if (p->name)
		record_add(" %s=%s", p->key, p->name(value));
	else
		record_add(" %s=%lu", p->key, value);
}

void lab_enter(const struct lab *lab)
{
	for (size_t i = 0; i < lab->param_count; i++) {
		const struct param *p = &lab->params[i];

		if (!is_allowed(p, lab->values[i]))
			end("bad-args why=out-of-range key=%s value=%lu min=%lu max=%lu : %s",
			    p->key, lab->values[i], p->min, p->max, p->help);
	}
	record_begin();
	record_add("[lab] enter name=%s", lab->name);
	for (size_t i = 0; i < lab->param_count; i++)
		add_value(&lab->params[i], lab->values[i]);
	record_add(" : %s", lab->sentence);
	record_end();
}
