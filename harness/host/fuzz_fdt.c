/*
 * base/fdt.c: whatever the bytes, no look leaves them, and no answer lies outside them.
 *
 * Bytes that begin like a device tree (the seeds: QEMU's own tree) are read as one. Any other bytes are
 * choices from which a right tree is built: either it must give the answers noted beside it, or some of
 * its words are spoilt and it must give none from outside.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "base/fdt.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* What kernel/main.c asks, and what a built tree may have. */
static const struct {
	const char *path[FDT_NAMES + 1], *name;
} asked[] = {
	{ { "chosen" }, "bootargs" }, { { "memory" }, "reg" }, { { "cpus", "cpu" }, "reg" },
	{ { NULL }, "compatible" },   { { NULL }, "reg" },     { { "a" }, "p" },
	{ { "a" }, "reg" },	      { { "a", "a" }, "p" },
};

static void put(uint8_t *to, uint32_t value)
{
	for (int i = 3; i >= 0; i--, value >>= 8)
		to[i] = (uint8_t)value;
}

/* Which word to spoil: one of the header, the length behind a PROPERTY token, or any. */
static size_t victim(const uint8_t *blob, size_t size, unsigned int kind, size_t at)
{
	size_t words = size / 4;

	if (kind == 0)
		return at % (HEADER_SIZE / 4);
	if (kind == 1)
		for (size_t i = 0; i + 1 < words; i++)
			if (word(blob, (at + i) % (words - 1)) == PROPERTY)
				return (at + i) % (words - 1) + 1;
	return at % words;
}

static void check_value(const struct fdt_question *q, const uint8_t *blob, size_t size)
{
	const uint8_t *value = q->value;

	require(value >= blob && value <= blob + size && q->length <= (size_t)(blob + size - value),
		"a value lies in the blob");
	for (unsigned int cells = 1; cells <= 2 && 4 * cells <= q->length; cells++)
		fdt_cells(value + q->length - 4UL * cells, cells);
}

/* Put every question to size bytes at their exact size. */
static void interrogate(const uint8_t *bytes, size_t size)
{
	struct fdt_question questions[ARRAY_SIZE(asked)] = { 0 };
	uint8_t *blob = exact_copy(bytes, size);
	uint64_t *numbers = calloc(2 * ARRAY_SIZE(asked), sizeof(*numbers));

	for (size_t q = 0; q < ARRAY_SIZE(asked); q++) {
		memcpy(questions[q].path, asked[q].path, sizeof(asked[q].path));
		questions[q].name = asked[q].name;
		questions[q].numbers = numbers + 2 * q;
		questions[q].room = 2;
	}
	if (fdt_ask(blob, size, questions, ARRAY_SIZE(questions))) {
		for (size_t q = 0; q < ARRAY_SIZE(questions); q++) {
			require(questions[q].nodes <= size / 4, "no more nodes than words");
			if (questions[q].value)
				check_value(&questions[q], blob, size);
		}
	}
	free(numbers);
	free(blob);
}

/* --- trees built from choices, with a model ------------------------------------------------------ */

#define MAX_TREE 4096
#define MAX_NAMES 32
#define MAX_NUMBERS 3 /* less than there may be nodes */
static const char *const paths[][FDT_NAMES + 1] = {
	{ NULL }, { "a" }, { "a", "b" }, { "a", "a" }, { "b", "a" }, { "memory" },
};
static const char strings[] = "reg\0p";
static const char *const node_names[] = { "a", "b", "a@1", "ab", "a@", "", "memory@40000000" };

struct builder {
	uint8_t bytes[MAX_TREE];
	size_t used;		      /* of the structure */
	const char *stack[MAX_NAMES]; /* names from the root down */
	int depth;		      /* of the current node, -1: the root is closed or not open */
	bool cut;  /* the last string has no end, so that a property of that name */
	bool over; /* is malformed, and nothing behind it is read */
	unsigned int count[ARRAY_SIZE(paths)];
	size_t first[ARRAY_SIZE(paths)]; /* offset of the first "reg" at this path, 0: none */
	size_t length[ARRAY_SIZE(paths)];
	uint64_t number[ARRAY_SIZE(paths)]
		       [MAX_NUMBERS]; /* of each of the first nodes, FDT_NONE: none */
};

static uint8_t *add(struct builder *b, size_t bytes)
{
	uint8_t *at = b->bytes + b->used;

	memset(at, 0, ALIGN_UP(bytes, 4UL));
	b->used += ALIGN_UP(bytes, 4UL);
	return at;
}

/* Does the path name the current node? Every one of its names, from the root down, and no more. */
static bool is_here(const struct builder *b, const char *const *path)
{
	for (int d = 1; d <= b->depth; d++, path++) {
		size_t n = *path ? strlen(*path) : 0;
		const char *name = b->stack[d];

		if (!n || strncmp(*path, name, n) != 0 || (name[n] && name[n] != '@'))
			return false;
	}
	return !*path;
}

static void begin_node(struct builder *b, const char *name)
{
	put(add(b, 4), BEGIN_NODE);
	strcpy((char *)add(b, strlen(name) + 1), name);
	b->stack[++b->depth] = name;
	for (size_t p = 0; p < ARRAY_SIZE(paths); p++) {
		if (b->over || !b->depth || !is_here(b, paths[p]))
			continue;
		if (b->count[p] < MAX_NUMBERS)
			b->number[p][b->count[p]] = FDT_NONE;
		b->count[p]++;
	}
}

static void end_node(struct builder *b)
{
	put(add(b, 4), END_NODE);
	b->depth--;
}

/* The newest node of this path is the current one: its number, if that is what it is, is the value. */
static void note_number(struct builder *b, size_t p, size_t length, uint64_t value)
{
	if (b->count[p] && b->count[p] <= MAX_NUMBERS && (length == 4 || length == 8))
		b->number[p][b->count[p] - 1] = value;
}

/* Every byte differs from its neighbours, and from those of other properties: where it stands. */
static uint64_t fill(struct builder *b, size_t length)
{
	uint8_t *value = add(b, length);
	uint64_t number = 0;

	for (size_t i = 0; i < length; i++) {
		value[i] = (uint8_t)(b->used * 7 + i);
		number = number << 8 | value[i];
	}
	return number;
}

static void property(struct builder *b, bool reg, size_t length)
{
	size_t at;
	uint64_t value;

	put(add(b, 4), PROPERTY);
	put(add(b, 4), (uint32_t)length);
	put(add(b, 4), reg ? 0 : 4);
	at = b->used;
	value = fill(b, length);
	b->over |= b->depth < 0 || (b->cut && !reg);
	for (size_t p = 0; p < ARRAY_SIZE(paths) && reg; p++) {
		if (b->over || !is_here(b, paths[p]))
			continue;
		note_number(b, p, length, value);
		if (b->first[p])
			continue;
		b->first[p] = at;
		b->length[p] = length;
	}
}

/*
 * In order (0); or with a second root (1); or not in order, in the last node: in its name, before the NUL (2)
 * or just behind it (3); or in a node behind an end (4).
 */
static void finish_nodes(struct builder *b, unsigned int ending)
{
	if (b->depth >= 0 && ending == 2) {
		put(add(b, 4), BEGIN_NODE);
		memcpy(add(b, 4), "a@@@", 4);
		return;
	}
	if (b->depth >= 0 && ending == 3) {
		begin_node(b, "a");
		b->used -= 2;
		return;
	}
	if (b->depth >= 0 && ending == 4) {
		put(add(b, 4), END);
		b->over = true;
		begin_node(b, "a");
	}
	while (b->depth >= 0)
		end_node(b);
	if (ending == 1) {
		b->over = true;
		begin_node(b, "");
		begin_node(b, "a");
	}
	put(add(b, 4), END);
}

static void build(struct builder *b, struct choices *c)
{
	unsigned int ending;

	b->depth = -1;
	b->cut = choose(c, 4) == 3;
	ending = choose(c, 5);
	if (choose(c, 16) == 15)
		property(b, true, 4);
	begin_node(b, "");
	while (c->left && b->used < MAX_TREE - 512 && b->depth >= 0) {
		switch (choose(c, 8)) {
		case 0:
			put(add(b, 4), NOP);
			break;
		case 1:
			property(b, choose(c, 2), choose(c, 20));
			break;
		case 2:
			property(b, choose(c, 4), 4UL << choose(c, 2));
			break;
		case 3:
			end_node(b);
			break;
		default:
			if (b->depth < MAX_NAMES - 2)
				begin_node(b, node_names[choose(c, ARRAY_SIZE(node_names))]);
		}
	}
	finish_nodes(b, ending);
}

/* Header and strings around the structure, which stays where it is; the strings before or behind it. */
static uint8_t *finish_blob(const struct builder *b, bool strings_first, size_t *size)
{
	size_t string_bytes = sizeof(strings) - b->cut;
	size_t gap = strings_first ? string_bytes : 0;
	const uint32_t header[] = {
		[H_MAGIC] = MAGIC,
		[H_TOTAL] = (uint32_t)(HEADER_SIZE + b->used + string_bytes),
		[H_STRUCT] = (uint32_t)(HEADER_SIZE + gap),
		[H_STRINGS] = (uint32_t)(HEADER_SIZE + (strings_first ? 0 : b->used)),
		[H_VERSION] = 17,
		[H_COMPATIBLE] = LAST_COMPATIBLE,
		[H_STRINGS_SIZE] = (uint32_t)string_bytes,
		[H_STRUCT_SIZE] = (uint32_t)b->used,
	};
	uint8_t *blob = malloc(header[H_TOTAL]);

	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		put(blob + 4 * i, header[i]);
	memcpy(blob + header[H_STRUCT], b->bytes, b->used);
	memcpy(blob + header[H_STRINGS], strings, string_bytes);
	*size = header[H_TOTAL];
	return blob;
}

/* As many numbers as there is room for, and no more: the array ends where they end. */
static void check_answer(const struct builder *b, const struct fdt_question *q, size_t p,
			 const uint8_t *structure)
{
	unsigned int known = b->count[p] < q->room ? b->count[p] : q->room;

	require(q->nodes == b->count[p], "every node is counted, whatever room there is");
	require(q->value == (b->first[p] ? structure + b->first[p] : NULL),
		"the first match is found");
	require(q->length == b->length[p], "with its length");
	require(!known || !memcmp(q->numbers, b->number[p], known * sizeof(*q->numbers)),
		"each node's number, in the tree's order");
}

static void check_answers(const struct builder *b, const uint8_t *blob, size_t size)
{
	struct fdt_question questions[ARRAY_SIZE(paths) * (MAX_NUMBERS + 1)] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		struct fdt_question *q = &questions[i];

		memcpy(q->path, paths[i % ARRAY_SIZE(paths)], sizeof(q->path));
		q->name = "reg";
		q->room = (unsigned int)(i / ARRAY_SIZE(paths));
		if (q->room)
			q->numbers = calloc(q->room, sizeof(*q->numbers));
	}
	require(!fdt_ask(blob, size - 1, questions, 1), "a tree that is cut does not open");
	require(fdt_ask(blob, size, questions, ARRAY_SIZE(questions)), "a right one does");
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		check_answer(b, &questions[i], i % ARRAY_SIZE(paths), blob + word(blob, H_STRUCT));
		free(questions[i].numbers);
	}
}

static void spoil(uint8_t *blob, size_t size, struct choices *c)
{
	static const uint32_t values[] = { BEGIN_NODE, END_NODE,   PROPERTY,  NOP,	     END, 0,
					   8,	       UINT32_MAX, INT32_MAX, UINT32_MAX - 8 };

	for (int i = choose(c, 6); i >= 0; i--) {
		unsigned int kind = choose(c, 3);
		size_t at = victim(blob, size, kind, choose(c, 256));
		uint32_t value = values[choose(c, ARRAY_SIZE(values))];

		if (choose(c, 2))
			value = word(blob, at) + choose(c, 17) - 8;
		put(blob + 4 * at, value);
	}
}

#define SPOILING 32 /* choices */

static void check_built(struct choices c)
{
	struct builder *b = calloc(1, sizeof(*b));
	bool right = choose(&c, 2), strings_first = choose(&c, 2);
	struct choices spoiling = { c.at, c.left < SPOILING ? c.left : SPOILING };
	uint8_t *blob;
	size_t size;

	if (!right)
		c = (struct choices){ c.at + spoiling.left, c.left - spoiling.left };
	build(b, &c);
	blob = finish_blob(b, strings_first, &size);
	if (right) {
		check_answers(b, blob, size);
	} else {
		spoil(blob, size, &spoiling);
		interrogate(blob, size);
	}
	free(blob);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || word(data, H_MAGIC) != MAGIC) {
		check_built((struct choices){ data, size });
		return 0;
	}
	interrogate(data, size);
	/* Cut where a careless reader would go on: the size in the header says so. */
	if (size >= HEADER_SIZE && word(data, H_TOTAL) < size)
		interrogate(data, word(data, H_TOTAL));
	return 0;
}

/* A tree is words: half of the mutations set one of them, to a token, a size, or what is at an edge. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	const uint32_t values[] = {
		BEGIN_NODE,
		END_NODE,
		PROPERTY,
		NOP,
		END,
		0,
		8,
		UINT32_MAX,
		INT32_MAX,
		UINT32_MAX - 3,
		UINT32_MAX - (uint32_t)(seed >> 24),
		(uint32_t)size,
		(uint32_t)size - 1,
		(uint32_t)size + 1,
	};

	if (seed & 1 || size < HEADER_SIZE || word(data, H_MAGIC) != MAGIC)
		return LLVMFuzzerMutate(data, size, max_size);
	put(data + 4 * victim(data, size, (seed >> 1) % 3, seed >> 4),
	    values[(seed >> 16) % ARRAY_SIZE(values)]);
	return size;
}
