/*
 * base/cmdline.c: any bytes are split or refused, with the right word in `bad`, and what is accepted is
 * what stands in the line; a number is what its digits say.
 *
 * The first byte says how to read the rest: as a line; as a line in an alphabet so small that
 * words, duplicates and blanks abound; as the text of a number.
 */
#include "host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmdline.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\0';
}

static bool is_word(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < '!' || s[i] > '~')
			return false;
	return n > 0;
}

static bool known(const struct cmdline_item *items, size_t count, const char *key, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(items[i].key) == n && memcmp(items[i].key, key, n) == 0)
			return true;
	return false;
}

/* The word at `word`, `n` bytes long, as the item after the first `count`: what is wrong with it. */
static const char *expected(const struct cmdline *c, size_t count, const char *word, size_t n)
{
	const char *equals = memchr(word, '=', n);

	if (!is_word(word, n))
		return "bad-character";
	if (!equals || equals == word || equals == word + n - 1)
		return "not-key-value";
	if (count == CMDLINE_MAX_ITEMS)
		return "too-many-words";
	if (known(c->items, count, word, equals - word))
		return "duplicate-key";
	return NULL;
}

static void check_item(const struct cmdline *c, size_t i, const char *word, size_t n)
{
	size_t key = (const char *)memchr(word, '=', n) - word;
	const struct cmdline_item *item;

	require(i < c->count, "every word is an item");
	item = &c->items[i];
	require(strlen(item->key) == key && memcmp(item->key, word, key) == 0,
		"the key stands in the line");
	require(strlen(item->value) == n - key - 1 &&
			memcmp(item->value, word + key + 1, n - key - 1) == 0,
		"the value stands in the line");
	require(cmdline_get(c, item->key) == item->value, "a key is found");
}

/* `bad` is the beginning of the word it is about, up to where it went wrong, and can be printed. */
static void check_bad(const struct cmdline *c, const char *word, size_t n)
{
	size_t length = strlen(c->bad);

	require(length <= n && memcmp(c->bad, word, length) == 0, "bad is the word at fault");
	require(length ? is_word(c->bad, length) : !is_word(word, 1), "bad can be printed");
}

static void check_line(const char *line, size_t size)
{
	struct cmdline *c = malloc(sizeof(*c));
	const char *why = cmdline_split(c, line, size);
	size_t count = 0;
	size_t end;

	require(c->count <= CMDLINE_MAX_ITEMS, "the count is bounded");
	require((size > CMDLINE_MAX_BYTES) == (why && strcmp(why, "too-long") == 0), "too-long");
	for (size_t at = 0; at < size && size <= CMDLINE_MAX_BYTES; at = end + 1) {
		const char *wrong;

		for (end = at; end < size && !is_blank(line[end]); end++)
			;
		if (end == at)
			continue;
		wrong = expected(c, count, line + at, end - at);
		require(!wrong || (why && strcmp(why, wrong) == 0),
			"the first wrong word is refused");
		if (wrong) {
			check_bad(c, line + at, end - at);
			break;
		}
		check_item(c, count++, line + at, end - at);
	}
	if (!why)
		require(count == c->count, "every item is a word");
	free(c);
}

/* What text says, by the C library and 128 bits. */
static bool read_number(const char *text, uint64_t *value)
{
	static const char suffixes[] = "KkMmGg";
	bool hex = strncmp(text, "0x", 2) == 0;
	const char *digits = text + (hex ? 2 : 0);
	size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	const char *tail = digits + n, *suffix = *tail ? strchr(suffixes, *tail) : NULL;
	unsigned __int128 wide;

	errno = 0;
	wide = strtoull(digits, NULL, hex ? 16 : 10);
	if (suffix) {
		wide <<= 10 * ((suffix - suffixes) / 2 + 1);
		tail++;
	}
	*value = (uint64_t)wide;
	return n && !errno && !*tail && wide <= UINT64_MAX;
}

static void check_text(const char *text)
{
	uint64_t is = 0, should = 0;
	bool right = cmdline_number(text, &is);

	require(right == read_number(text, &should), "a number is a number");
	require(!right || is == should, "its value is what it says");
}

static void check_number(const char *bytes, size_t size)
{
	char *text = calloc(size + 1, 1);

	memcpy(text, bytes, size);
	check_text(text);
	free(text);
}

static void check_round_trip(struct choices c)
{
	static const char *const formats[] = { "%" PRIu64 "%s", "0x%" PRIx64 "%s",
					       "0x%" PRIX64 "%s" };
	static const char *const suffixes[] = { "K", "k", "M", "m", "G", "g", "KK", "B" };
	uint64_t number = choose_number(&c) >> choose(&c, 64), is;
	char text[32];

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		snprintf(text, sizeof(text), formats[i], number, "");
		require(cmdline_number(text, &is) && is == number, "a number comes back");
		for (size_t k = 0; k < ARRAY_SIZE(suffixes); k++) {
			snprintf(text, sizeof(text), formats[i], number, suffixes[k]);
			check_text(text);
		}
	}
}

static void spell(char *text, size_t size, const char *alphabet)
{
	for (size_t i = 0; i < size; i++)
		text[i] = alphabet[(uint8_t)text[i] % strlen(alphabet)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = exact_copy(data + 1, size - 1);
	switch (data[0] % 4) {
	case 1:
		spell(text, size - 1, "abcdefghijklmnop    ======\t\x7f");
		check_line(text, size - 1);
		break;
	case 2:
		spell(text, size - 1, "0123456789abcdefABCDEFxkKmMgGh@`");
		check_number(text, size - 1);
		break;
	case 3:
		check_number(text, size - 1);
		check_round_trip((struct choices){ (const uint8_t *)text, size - 1 });
		break;
	default:
		check_line(text, size - 1);
	}
	free(text);
	return 0;
}
