/* See fdt.h. One loop over the structure block serves every question. */
#include "core/fdt.h"

#include "core/string.h"

#define MAGIC 0xd00dfeed
#define HEADER_SIZE 40
#define LAST_COMPATIBLE 16
#define MAX_DEPTH 16

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

bool fdt_open(struct fdt *tree, const void *blob, size_t limit)
{
	const uint8_t *base = blob;
	size_t total;

	if (limit < HEADER_SIZE || word(base, H_MAGIC) != MAGIC ||
	    word(base, H_COMPATIBLE) > LAST_COMPATIBLE + 1)
		return false;
	total = word(base, H_TOTAL);
	tree->structure_size = word(base, H_STRUCT_SIZE);
	tree->strings_size = word(base, H_STRINGS_SIZE);
	if (total > limit || !inside(word(base, H_STRUCT), tree->structure_size, total) ||
	    !inside(word(base, H_STRINGS), tree->strings_size, total))
		return false;
	tree->structure = base + word(base, H_STRUCT);
	tree->strings = base + word(base, H_STRINGS);
	return true;
}

/* One token of the structure block, with what belongs to it. */
struct event {
	enum token token;
	const char *name; /* of the node or of the property */
	const uint8_t *value;
	size_t length;
};

/* A string with its NUL inside `size` bytes; its length, or size if there is no NUL. */
static size_t bounded_length(const uint8_t *s, size_t size)
{
	size_t n = 0;

	while (n < size && s[n])
		n++;
	return n;
}

/* Read the token at *at and move past it. False at the end and at anything malformed. */
static bool next_event(const struct fdt *tree, size_t *at, struct event *e)
{
	const uint8_t *s = tree->structure;
	size_t left;
	size_t name;

	do {
		if (!inside(*at, 4, tree->structure_size))
			return false;
		e->token = (enum token)word(s + *at, 0);
		*at += 4;
	} while (e->token == NOP);
	left = tree->structure_size - *at;

	switch (e->token) {
	case BEGIN_NODE:
		e->name = (const char *)s + *at;
		e->length = bounded_length(s + *at, left);
		*at += ALIGN_UP(e->length + 1, 4UL);
		return e->length < left;
	case PROPERTY:
		if (left < 8)
			return false;
		e->length = word(s + *at, 0);
		name = word(s + *at, 1);
		e->value = s + *at + 8;
		if (!inside(8, e->length, left) || name >= tree->strings_size ||
		    bounded_length(tree->strings + name, tree->strings_size - name) ==
			    tree->strings_size - name)
			return false;
		e->name = (const char *)tree->strings + name;
		*at += 8 + ALIGN_UP(e->length, 4UL);
		return true;
	case END_NODE:
		return true;
	default:
		return false;
	}
}

/* The length of the path's first name if the node has it (its unit address aside), else 0. */
static size_t matches(const char *path, const char *node, size_t length)
{
	size_t n = 0;

	while (path[n] && path[n] != '/')
		n++;
	if (n == 0 || n > length || strncmp(path, node, n) != 0)
		return 0;
	return n == length || node[n] == '@' ? n : 0;
}

/* Where a walk stands: how deep, how much of the path is matched, and at which depth. */
struct walk {
	size_t at;
	int depth;   /* of the current node, the root is 0 */
	int matched; /* depth down to which the current node's ancestors match the path */
	const char *rest[MAX_DEPTH]; /* of the path, below each matched depth */
};

static bool at_target(const struct walk *w)
{
	return w->matched == w->depth && *w->rest[w->depth] == '\0';
}

static void enter(struct walk *w, const struct event *e)
{
	bool parent_matches = w->matched == w->depth;
	const char *rest = parent_matches ? w->rest[w->depth] : NULL;
	size_t n;

	w->depth++;
	if (w->depth == 0 || !parent_matches || w->depth >= MAX_DEPTH)
		return;
	n = matches(rest, e->name, e->length);
	if (!n)
		return;
	w->matched = w->depth;
	w->rest[w->depth] = rest[n] == '/' ? rest + n + 1 : rest + n;
}

static void leave(struct walk *w)
{
	if (w->matched == w->depth)
		w->matched--;
	w->depth--;
}

static void start(struct walk *w, const struct fdt *tree, const char *path)
{
	struct event root;

	*w = (struct walk){ .depth = -1, .matched = -1 };
	if (!next_event(tree, &w->at, &root) || root.token != BEGIN_NODE)
		return;
	w->depth = 0;
	w->matched = 0;
	w->rest[0] = path;
}

const void *fdt_property(const struct fdt *tree, const char *path, const char *name, size_t *length)
{
	struct walk w;
	struct event e;

	start(&w, tree, path);
	while (w.depth >= 0 && next_event(tree, &w.at, &e)) {
		if (e.token == BEGIN_NODE)
			enter(&w, &e);
		else if (e.token == END_NODE)
			leave(&w);
		else if (at_target(&w) && strcmp(e.name, name) == 0) {
			*length = e.length;
			return e.value;
		}
	}
	return NULL;
}

static bool is_number(const struct event *e, const char *name)
{
	return (e->length == 4 || e->length == 8) && strcmp(e->name, name) == 0;
}

unsigned int fdt_numbers(const struct fdt *tree, const char *path, const char *name,
			 uint64_t *values, unsigned int max)
{
	unsigned int count = 0;
	struct walk w;
	struct event e;

	start(&w, tree, path);
	while (w.depth >= 0 && next_event(tree, &w.at, &e)) {
		if (e.token == END_NODE) {
			leave(&w);
		} else if (e.token == BEGIN_NODE) {
			enter(&w, &e);
			if (!at_target(&w))
				continue;
			if (count < max)
				values[count] = FDT_NONE;
			count++;
		} else if (at_target(&w) && count && count <= max && is_number(&e, name)) {
			values[count - 1] = fdt_cells(e.value, (unsigned int)e.length / 4);
		}
	}
	return count;
}

unsigned int fdt_count(const struct fdt *tree, const char *path)
{
	return fdt_numbers(tree, path, "", NULL, 0);
}
