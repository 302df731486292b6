/* See fdt.h. Each token is read once, and put to the questions whose path leads to it. */
#include "base/fdt.h"

#include "base/string.h"

#define MAGIC 0xd00dfeed
#define HEADER_SIZE 40
#define LAST_COMPATIBLE 16

enum token { BEGIN_NODE = 1, END_NODE = 2, PROPERTY = 3, NOP = 4, END = 9 };

/* Header words, by index. */
enum {
	H_MAGIC,
	H_TOTAL,
	H_STRUCT,
	H_STRINGS,
	H_RESERVED,
	H_VERSION,
	H_COMPATIBLE,
	H_CPU,
	H_STRINGS_SIZE,
	H_STRUCT_SIZE
};

uint64_t fdt_cells(const void *bytes, unsigned int cells)
{
	const uint8_t *b = bytes;
	uint64_t value = 0;

	for (unsigned int i = 0; i < cells * 4; i++)
		value = value << 8 | b[i];
	return value;
}

/* Not a loop: a boot reads some thousands of them. */
static uint32_t word(const uint8_t *base, size_t index)
{
	const uint8_t *b = base + 4 * index;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static bool inside(size_t offset, size_t size, size_t total)
{
	return offset <= total && size <= total - offset;
}

/* Where the walk stands. */
struct walk {
	const uint8_t *at; /* in the structure block; so much of it is left */
	size_t left;
	const char *strings;
	size_t strings_size; /* to the end of the last whole one */
	struct fdt_question *questions;
	uint64_t all;		     /* of them, a bit each */
	int level;		     /* of the node; the root's is 1, outside of it 0 */
	int depth;		     /* the last level that paths lead to, from the root down; */
	uint64_t led[FDT_NAMES + 2]; /* and at each the questions that have such a path */
};

static bool open_tree(struct walk *w, const void *blob, size_t limit)
{
	size_t total, structure, strings;

	if (limit < HEADER_SIZE || word(blob, H_MAGIC) != MAGIC ||
	    word(blob, H_COMPATIBLE) > LAST_COMPATIBLE + 1)
		return false;
	total = word(blob, H_TOTAL);
	structure = word(blob, H_STRUCT);
	strings = word(blob, H_STRINGS);
	w->left = word(blob, H_STRUCT_SIZE);
	w->strings_size = word(blob, H_STRINGS_SIZE);
	if (total > limit || !inside(structure, w->left, total) ||
	    !inside(strings, w->strings_size, total))
		return false;
	w->at = (const uint8_t *)blob + structure;
	w->strings = (const char *)blob + strings;
	while (w->strings_size && w->strings[w->strings_size - 1])
		w->strings_size--;
	return true;
}

static void skip(struct walk *w, size_t bytes)
{
	size_t whole = ALIGN_UP(bytes, 4UL) < w->left ? ALIGN_UP(bytes, 4UL) : w->left;

	w->at += whole;
	w->left -= whole;
}

/* A string with its NUL inside `size` bytes; its length, or size if there is no NUL. */
static size_t bounded_length(const uint8_t *s, size_t size)
{
	size_t n = 0;

	while (n < size && s[n])
		n++;
	return n;
}

/* Is this the node's name, its unit address aside? */
static bool is_named(const char *name, const char *node)
{
	for (; *name == *node; name++, node++)
		if (!*name)
			return true;
	return !*name && *node == '@';
}

static uint64_t led_here(const struct walk *w)
{
	return w->depth == w->level ? w->led[w->level] : 0;
}

static void count_node(struct fdt_question *q)
{
	if (q->nodes < q->room)
		q->numbers[q->nodes] = FDT_NONE;
	q->nodes++;
}

/* The root is everybody's, whatever its name. */
static void enter(struct walk *w, const char *node)
{
	uint64_t led = w->level ? 0 : w->all;

	for (uint64_t left = led_here(w); left; left &= left - 1) {
		struct fdt_question *q = &w->questions[__builtin_ctzl(left)];
		const char *const *name = &q->path[w->level - 1];

		if (!name[0] || !is_named(name[0], node))
			continue;
		led |= left & -left;
		if (!name[1])
			count_node(q);
	}
	w->level++;
	if (led)
		w->led[w->depth = w->level] = led;
}

/* False: that was the root. */
static bool leave(struct walk *w)
{
	if (w->depth == w->level)
		w->depth--;
	w->level--;
	return w->level > 0;
}

static void answer(struct fdt_question *q, const void *value, size_t length)
{
	unsigned int node = q->nodes - 1; /* of the root, which is not counted, none */

	if (!q->value) {
		q->value = value;
		q->length = length;
	}
	if (node < q->room && (length == 4 || length == 8))
		q->numbers[node] = fdt_cells(value, (unsigned int)length / 4);
}

static bool pass_node(struct walk *w)
{
	size_t length = bounded_length(w->at, w->left);

	if (length == w->left)
		return false;
	enter(w, (const char *)w->at);
	skip(w, length + 1);
	return true;
}

static bool pass_property(struct walk *w)
{
	size_t length, name;

	if (!w->level || w->left < 8)
		return false;
	length = word(w->at, 0);
	name = word(w->at, 1);
	if (length > w->left - 8 || name >= w->strings_size)
		return false;
	for (uint64_t left = led_here(w); left; left &= left - 1) {
		struct fdt_question *q = &w->questions[__builtin_ctzl(left)];

		if (!q->path[w->level - 1] && strcmp(q->name, w->strings + name) == 0)
			answer(q, w->at + 8, length);
	}
	skip(w, 8 + length);
	return true;
}

/* One token, with what belongs to it. False at the end and at anything malformed. */
static bool step(struct walk *w)
{
	uint32_t token;

	if (w->left < 4)
		return false;
	token = word(w->at, 0);
	skip(w, 4);
	switch (token) {
	case PROPERTY:
		return pass_property(w);
	case BEGIN_NODE:
		return pass_node(w);
	case END_NODE:
		return leave(w);
	default:
		return token == NOP;
	}
}

bool fdt_ask(const void *blob, size_t limit, struct fdt_question *questions, size_t count)
{
	struct walk w = { .questions = questions, .all = UINT64_MAX >> (64 - count) };

	if (!open_tree(&w, blob, limit))
		return false;
	while (step(&w))
		;
	return true;
}
