/*
 * base/string.c against a second one that is written for no speed: every place, every length and every
 * overlap of a small area, with the bytes beside it.
 */
#include "base/string.h"

#include "lab/lab.h"
#include "report/report.h"

#define AREA 40
#define PLACES 10
#define LENGTHS 18 /* two words, and a byte more */

static unsigned char area[AREA]
	__attribute__((aligned(8))); /* memset() has a way of its own for words */
static unsigned char expected[AREA];
static unsigned int cases, wrong;

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 37 + 11);
}

static void fill(void)
{
	for (size_t i = 0; i < AREA; i++)
		area[i] = expected[i] = byte_at(i);
}

static void judge(bool right)
{
	cases++;
	wrong += !right;
}

static bool as_expected(void)
{
	bool same = true;

	for (size_t i = 0; i < AREA; i++)
		same &= area[i] == expected[i];
	return same;
}

static void say(const char *of)
{
	report("[mem-lab] strings of=%s cases=%u wrong=%u", of, cases, wrong);
	if (wrong)
		end("survived");
	cases = 0;
}

/* apart: no byte of one is one of the other's, which is what memcpy() may count on. */
static void copy(bool apart, size_t to, size_t from, size_t n)
{
	void *back;

	fill();
	for (size_t i = 0; i < n; i++)
		expected[to + i] = byte_at(from + i);
	back = apart ? memcpy(area + to, area + from, n) : memmove(area + to, area + from, n);
	judge(back == area + to && as_expected());
}

static void copy_all(bool apart)
{
	for (size_t to = 0; to < PLACES; to++)
		for (size_t from = 0; from < PLACES; from++)
			for (size_t n = 0; n < LENGTHS; n++)
				copy(apart, to, apart ? from + AREA / 2 : from, apart ? n / 2 : n);
}

static void set_all(void)
{
	for (size_t to = 0; to < PLACES; to++)
		for (size_t n = 0; n < LENGTHS; n++) {
			fill();
			for (size_t i = 0; i < n; i++)
				expected[to + i] = 0xa5;
			judge(memset(area + to, 0x7a5, n) == area + to && as_expected());
		}
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

/* The first byte that differs decides, as a number without a sign; what is behind n does not. */
static void compare_all(void)
{
	for (size_t at = 0; at < LENGTHS; at++)
		for (size_t n = 0; n < LENGTHS; n++) {
			fill();
			area[at] = 0x7f;
			expected[at] = 0x80;
			judge(sign(memcmp(area, expected, n)) == (at < n ? -1 : 0));
			judge(sign(memcmp(expected, area, n)) == (at < n ? 1 : 0));
		}
}

static const struct {
	const char *a, *b;
	size_t n;
	int sign;
} texts[] = {
	{ "", "", 1, 0 },	    { "a", "b", 0, 0 },	     { "ab", "ac", 1, 0 },
	{ "ab", "ac", 2, -1 },	    { "ab", "abc", 2, 0 },   { "ab", "abc", 3, -1 },
	{ "abc", "ab", 3, 1 },	    { "ab\0x", "ab", 9, 0 }, { "\x80", "\x7f", 1, 1 },
	{ "b", "ab", SIZE_MAX, 1 },
};

static void compare_texts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		judge(sign(strncmp(texts[i].a, texts[i].b, texts[i].n)) == texts[i].sign);
	judge(!strcmp("ab", "ab") && strcmp("ab", "abc") < 0 && strcmp("b", "abc") > 0);
	judge(strlen("") == 0 && strlen("ab") == 2 && strlen("ab\0c") == 2);
}

/* Never more than `size` bytes, and always an end. */
static void cut_texts(void)
{
	static const char text[] = "text";

	for (size_t size = 1; size < LENGTHS; size++) {
		size_t n = 0;

		fill();
		for (; n + 1 < size && text[n]; n++)
			expected[n] = (unsigned char)text[n];
		expected[n] = 0;
		string_copy((char *)area, text, size);
		judge(as_expected());
	}
}

LAB(mem, strings, "copies, fills and comparisons, at every place and length", NO_PARAMS)
{
	copy_all(true);
	say("memcpy");
	copy_all(false);
	say("memmove");
	set_all();
	say("memset");
	compare_all();
	say("memcmp");
	compare_texts();
	say("texts");
	cut_texts();
	say("string_copy");
	end("ok");
}
