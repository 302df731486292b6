/* See cmdline.h. */
#include "base/cmdline.h"

#include "base/string.h"

/* Cut the item at `word` in two. NULL or what is wrong. */
static const char *add_item(struct cmdline *c, char *word)
{
	char *equals = word;

	c->bad = word;
	while (*equals && *equals != '=')
		equals++;
	if (*equals != '=' || equals == word || !equals[1])
		return "not-key-value";
	if (c->count == CMDLINE_MAX_ITEMS)
		return "too-many-words";
	*equals = '\0';
	if (cmdline_get(c, word))
		return "duplicate-key";
	c->items[c->count++] = (struct cmdline_item){ word, equals + 1 };
	return NULL;
}

const char *cmdline_split(struct cmdline *c, const char *line, size_t length)
{
	char *word = NULL;

	c->count = 0;
	c->bad = "";
	if (length > CMDLINE_MAX_BYTES)
		return "too-long";
	memcpy(c->text, line, length);
	c->text[length] = '\0';
	for (char *p = c->text;; p++) {
		bool blank = *p == ' ' || *p == '\t' || *p == '\0';
		bool last = p == c->text + length;

		if (!blank && !word)
			word = p;
		if (!blank && (*p < '!' || *p > '~')) {
			*p = '\0';
			c->bad = word;
			return "bad-character";
		}
		if (blank && word) {
			const char *why;

			*p = '\0';
			why = add_item(c, word);
			if (why)
				return why;
			word = NULL;
		}
		if (last)
			return NULL;
	}
}

const char *cmdline_get(const struct cmdline *c, const char *key)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].key, key) == 0)
			return c->items[i].value;
	return NULL;
}

static int digit(char c, unsigned int base)
{
	int value = -1;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < (int)base ? value : -1;
}

static unsigned int suffix_shift(char c)
{
	switch (c) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	default:
		return 0;
	}
}

bool cmdline_number(const char *text, uint64_t *value)
{
	unsigned int base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
	const char *p = base == 16 ? text + 2 : text;
	unsigned int shift;
	uint64_t n = 0;

	if (digit(*p, base) < 0)
		return false;
	for (int d; (d = digit(*p, base)) >= 0; p++)
		if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, d, &n))
			return false;
	shift = suffix_shift(*p);
	if (shift)
		p++;
	if (*p || n > UINT64_MAX >> shift)
		return false;
	*value = n << shift;
	return true;
}
