/* See param.h. */
#include "lab/param.h"

#include "base/cmdline.h"
#include "report/format.h"
#include "base/string.h"
#include "report/fault.h"
#include "report/report.h"

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

/* So many bytes of names leave room for the rest of a record. */
#define NAMES_BYTES 100

const char *param_names(const struct param *p, uint64_t *from)
{
	static char names[NAMES_BYTES];
	struct text t = text_in(names, sizeof(names));

	while (is_allowed(p, *from) && text_word(&t, ",", p->name(*from)))
		++*from;
	return names;
}

bool param_has_more(const struct param *p, uint64_t from)
{
	return is_allowed(p, from);
}

/* A lab's parameter; the refusal names key and value and says what is allowed. */
__attribute__((noreturn)) static void refuse_param(const struct param *p, const char *value)
{
	uint64_t from = p->min;

	if (p->name) {
		const char *names = param_names(p, &from);

		end("bad-args why=bad-value key=%s : \"%s\" is none of %s%s; %s", p->key, value,
		    names, param_has_more(p, from) ? ", and more that lab=list prints" : "",
		    p->help);
	}
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
	struct text t = text_in(keys, sizeof(keys));

	for (size_t i = 0; i < lab->param_count && text_word(&t, " ", lab->params[i].key);)
		i++;
	end("bad-args why=unknown-key : \"%s\" is no key of %s; it takes: %s%s; lab=list prints all",
	    key, lab->name, lab->param_count ? keys : "none", t.cut ? " ..." : "");
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
	lab_entered = true;
}
