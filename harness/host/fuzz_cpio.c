/*
 * proc/cpio.c: any bytes are an archive or refused; of an archive every name and every byte of data lies
 * inside, entries come in order and do not overlap, and each file is found under its name.
 *
 * The first byte says whether the rest is taken as it is, or as choices from which an archive is built whose
 * contents are known, whole or cut short.
 */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc/cpio.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

#define MOST_FILES 8
#define ARCHIVE_BYTES 4096

struct model {
	char names[MOST_FILES][16];
	size_t sizes[MOST_FILES];
	bool regular[MOST_FILES];
	unsigned int same_as[MOST_FILES]; /* an earlier name of the same file, or itself */
	unsigned int files;
	size_t ends[2],
		archives; /* where a whole archive ends: without the padding, what comes before is one */
	char bytes[ARCHIVE_BYTES];
	size_t size;
};

static bool inside(const char *archive, size_t size, const void *at, size_t n)
{
	size_t offset = (size_t)((const char *)at - archive);

	return offset <= size && n <= size - offset;
}

/* What its header says, read as nobody else does. */
static size_t name_bytes(const char *name)
{
	char digits[9] = "";

	memcpy(digits, name - 16, 8);
	return strtoul(digits, NULL, 16);
}

/* What cpio_check() lets through: all that is said of it must hold. */
static void walk(const char *archive, size_t size)
{
	const char *behind = archive;
	struct cpio_file file;
	struct cpio_file again;

	for (unsigned int i = 0; cpio_file(&file, archive, size, i); i++) {
		size_t length = strlen(file.name);

		require(inside(archive, size, file.name, length + 1), "a name lies inside");
		require(inside(archive, size, file.data, file.size), "data lie inside");
		require(file.name > behind, "files come in order");
		require(length + 1 == name_bytes(file.name), "a name has the length that is said");
		behind = file.name + length;
		require(cpio_find(&again, archive, size, file.name) >= (int)i,
			"a file is found under its name, the last of that name");
		require(strcmp(again.name, file.name) == 0, "and it is one of that name");
	}
}

static void append(struct model *m, const void *from, size_t n)
{
	memcpy(m->bytes + m->size, from, n);
	m->size += n;
}

static void pad(struct model *m)
{
	while (m->size % 4)
		m->bytes[m->size++] = '\0';
}

static void append_entry(struct model *m, const char *name, bool regular, size_t data,
			 unsigned int inode, unsigned int links)
{
	unsigned int mode = regular ? 0100644 : 0040755;
	char header[HEADER_BYTES + 1];

	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode, mode, 0, 0,
		 links, 0, (unsigned int)data, 0, 0, 0, 0, (unsigned int)strlen(name) + 1, 0);
	append(m, header, HEADER_BYTES);
	append(m, name, strlen(name) + 1);
	pad(m);
	for (size_t i = 0; i < data; i++)
		m->bytes[m->size++] = (char)(data + i);
	pad(m);
}

static void end_archive(struct model *m, struct choices *c)
{
	append_entry(m, "TRAILER!!!", false, 0, 0, 1);
	m->ends[m->archives++] = m->size;
	for (unsigned int n = choose(c, 4); n; n--)
		append(m, "\0\0\0\0", 4);
}

/* One entry; of a file with two names its first has no data, and the second, later, has. */
static void build_file(struct model *m, struct choices *c, unsigned int i, unsigned int first)
{
	bool link =
		i > first && m->regular[i - 1] && m->same_as[i - 1] == i - 1 && choose(c, 4) == 0;

	snprintf(m->names[i], sizeof(m->names[i]), "file%u%.*s", i, choose(c, 6), "abcdef");
	m->sizes[i] = choose(c, 200);
	m->regular[i] = link || choose(c, 4) != 0;
	m->same_as[i] = link ? i - 1 : i;
}

static bool is_first_of_two(const struct model *m, unsigned int i)
{
	return i + 1 < m->files && m->same_as[i + 1] == i;
}

static void build_archive(struct model *m, struct choices *c, unsigned int first)
{
	for (unsigned int i = first; i < m->files; i++)
		build_file(m, c, i, first);
	for (unsigned int i = first; i < m->files; i++) {
		bool two = is_first_of_two(m, i) || m->same_as[i] != i;

		append_entry(m, m->names[i], m->regular[i], is_first_of_two(m, i) ? 0 : m->sizes[i],
			     1 + m->same_as[i], two ? 2 : 1);
	}
	for (unsigned int i = first; i < m->files; i++)
		if (is_first_of_two(m, i))
			m->sizes[i] = m->sizes[i + 1];
	end_archive(m, c);
}

/* One archive, or two, one after the other. */
static void build(struct model *m, struct choices *c)
{
	m->files = choose(c, MOST_FILES / 2 + 1);
	build_archive(m, c, 0);
	if (choose(c, 2)) {
		unsigned int first = m->files;

		m->files += choose(c, MOST_FILES / 2 + 1);
		build_archive(m, c, first);
	}
}

static void check_files(const struct model *m, const char *archive)
{
	struct cpio_file file;
	unsigned int index = 0;

	for (unsigned int i = 0; i < m->files; i++) {
		int found = cpio_find(&file, archive, m->size, m->names[i]);

		if (!m->regular[i]) {
			require(found < 0, "only regular files are found");
			continue;
		}
		require(found == (int)index++, "a file has its place among the regular ones");
		require(file.size == m->sizes[i], "a file has its size");
		for (size_t b = 0; b < file.size; b++)
			require(((const char *)file.data)[b] == (char)(file.size + b),
				"and its bytes");
	}
	require(!cpio_file(&file, archive, m->size, index), "and there is no other");
}

/* Does a number that is read stand there? Of the first entry: all but the last, which nobody uses. */
static bool in_number(size_t at)
{
	return at >= 6 && at < 102;
}

/* One byte is another: what is still let through must still be an archive. */
static void damaged(struct model *m, struct choices *c)
{
	static const char values[] = "0fFgG x\0\377";
	size_t at = choose(c, 2) ? choose(c, HEADER_BYTES + 12) : choose_number(c) % m->size;
	char *archive;
	const char *why;

	m->bytes[at] = values[choose(c, sizeof(values) - 1)];
	archive = exact_copy(m->bytes, m->size);
	why = cpio_check(archive, m->size);
	if (in_number(at) && strchr("gG x\377", m->bytes[at]))
		require(why != NULL, "what is no number is refused");
	if (!why)
		walk(archive, m->size);
	free(archive);
}

/* Only a trailer's padding, and NULs after it, are missed by nobody; so is a second archive as a whole. */
static bool nobody_misses(const struct model *m, size_t cut)
{
	size_t first = m->ends[0];

	if (cut + 4 > m->ends[m->archives - 1])
		return true;
	if (m->archives == 1 || cut + 4 <= first)
		return false;
	while (first < m->size && !m->bytes[first])
		first++;
	return cut <= first;
}

/* What stands after a trailer is an archive where one may begin, or NULs. */
static void refused_trailing(struct model *m, struct choices *c)
{
	static const struct {
		const char *bytes;
		size_t size;
	} junk[] = { { "\0\0\0x", 4 },
		     { "070702", 6 },
		     { "\0\0"
		       "070701",
		       8 },
		     { "\0"
		       "070701",
		       7 },
		     { "\x1f\x8b", 2 },
		     { "0707", 4 } };
	unsigned int which = choose(c, ARRAY_SIZE(junk)),
		     zeros = choose(c, 2) ? 2 * HEADER_BYTES : 0;
	const char *why;
	char *archive;

	append(m, junk[which].bytes, junk[which].size);
	memset(m->bytes + m->size, '0', zeros);
	m->size += zeros;
	archive = exact_copy(m->bytes, m->size);
	why = cpio_check(archive, m->size);
	require(why && !strcmp(why, "trailing-data"), "what is left over is refused");
	free(archive);
}

static void built(struct choices *c)
{
	static struct model m;
	size_t cut;
	char *archive;

	m = (struct model){ .files = 0 };
	build(&m, c);
	if (choose(c, 2)) {
		damaged(&m, c);
		return;
	}
	if (choose(c, 4) == 0) {
		refused_trailing(&m, c);
		return;
	}
	cut = choose(c, 2) ? choose_number(c) % (m.size + 1) : m.size;
	archive = exact_copy(m.bytes, cut);
	if (cut == m.size) {
		require(!cpio_check(archive, cut), "a whole archive is one");
		check_files(&m, archive);
	} else if (!nobody_misses(&m, cut)) {
		require(cpio_check(archive, cut) != NULL, "one that is cut short is refused");
	}
	walk(archive, cut);
	free(archive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };

	if (choose(&c, 2)) {
		built(&c);
	} else {
		char *archive = exact_copy(c.at, c.left);

		if (!cpio_check(archive, c.left))
			walk(archive, c.left);
		free(archive);
	}
	return 0;
}
