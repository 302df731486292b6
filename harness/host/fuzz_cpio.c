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
	unsigned int files;
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
		require((const char *)file.data > file.name + length, "data lie behind the name");
		behind = (const char *)file.data + file.size - 1;
		require(cpio_find(&again, archive, size, file.name) >= 0 &&
				cpio_find(&again, archive, size, file.name) <= (int)i,
			"a file is found under its name");
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

static void append_entry(struct model *m, const char *name, bool regular, size_t data)
{
	unsigned int mode = regular ? 0100644 : 0040755;
	char header[HEADER_BYTES + 1];

	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, mode, 0, 0, 1, 0,
		 (unsigned int)data, 0, 0, 0, 0, (unsigned int)strlen(name) + 1, 0);
	append(m, header, HEADER_BYTES);
	append(m, name, strlen(name) + 1);
	pad(m);
	for (size_t i = 0; i < data; i++)
		m->bytes[m->size++] = (char)(data + i);
	pad(m);
}

static void build(struct model *m, struct choices *c)
{
	m->files = choose(c, MOST_FILES + 1);
	for (unsigned int i = 0; i < m->files; i++) {
		snprintf(m->names[i], sizeof(m->names[i]), "file%u%.*s", i, choose(c, 6), "abcdef");
		m->sizes[i] = choose(c, 200);
		m->regular[i] = choose(c, 4) != 0;
		append_entry(m, m->names[i], m->regular[i], m->sizes[i]);
	}
	append_entry(m, "TRAILER!!!", false, 0);
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

/* Does a number that is read stand there? Of the first entry: mode, size of the file, size of the name. */
static bool in_number(size_t at)
{
	return (at >= 14 && at < 22) || (at >= 54 && at < 62) || (at >= 94 && at < 102);
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
	cut = choose(c, 2) ? choose_number(c) % (m.size + 1) : m.size;
	archive = exact_copy(m.bytes, cut);
	/* The trailer's padding is the only thing that nobody misses. */
	if (cut == m.size) {
		require(!cpio_check(archive, cut), "a whole archive is one");
		check_files(&m, archive);
	} else if (cut + 4 <= m.size) {
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
