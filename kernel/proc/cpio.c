/* See cpio.h. An entry: 110 bytes of header in hexadecimal, name, data, each padded to 4 bytes. */
#include "proc/cpio.h"

#include "core/string.h"

#define HEADER_BYTES 110
#define MAGIC "070701"
#define FIELD_BYTES 8
#define TRAILER "TRAILER!!!"
#define MODE_TYPE 0170000
#define MODE_REGULAR 0100000

enum field { MODE = 1, FILE_SIZE = 6, NAME_SIZE = 11 };

struct entry {
	struct cpio_file file;
	bool regular;
	size_t next; /* offset of the entry behind */
};

/* Eight hexadecimal digits; false at anything else. */
static bool number(const char *digits, size_t *value)
{
	*value = 0;
	for (int i = 0; i < FIELD_BYTES; i++) {
		char c = digits[i] | 0x20;

		if (c >= '0' && c <= '9')
			*value = *value << 4 | (size_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*value = *value << 4 | (size_t)(c - 'a' + 10);
		else
			return false;
	}
	return true;
}

static bool field(const char *header, enum field which, size_t *value)
{
	return number(header + sizeof(MAGIC) - 1 + (size_t)which * FIELD_BYTES, value);
}

/* Is the last of n bytes the first NUL? */
static bool ends_at(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i])
		i++;
	return i + 1 == n;
}

/* All sizes are below 4 GiB, so no sum of a few of them overflows. */
static const char *read_entry(struct entry *e, const char *archive, size_t size, size_t at)
{
	const char *header = archive + at;
	size_t mode;
	size_t name;
	size_t data;

	if (at > size || size - at < HEADER_BYTES)
		return "truncated";
	if (memcmp(header, MAGIC, sizeof(MAGIC) - 1) != 0)
		return "bad-magic";
	if (!field(header, MODE, &mode) || !field(header, FILE_SIZE, &e->file.size) ||
	    !field(header, NAME_SIZE, &name))
		return "bad-number";
	data = ALIGN_UP(at + HEADER_BYTES + name, 4UL);
	e->next = ALIGN_UP(data + e->file.size, 4UL);
	if (data > size || e->file.size > size - data)
		return "truncated";
	if (!ends_at(header + HEADER_BYTES, name))
		return "bad-name";
	e->file.name = header + HEADER_BYTES;
	e->file.data = archive + data;
	e->regular = (mode & MODE_TYPE) == MODE_REGULAR;
	return NULL;
}

static bool is_trailer(const struct entry *e)
{
	return strcmp(e->file.name, TRAILER) == 0;
}

const char *cpio_check(const void *archive, size_t size)
{
	struct entry e = { .next = 0 };
	const char *why;

	do {
		why = read_entry(&e, archive, size, e.next);
	} while (!why && !is_trailer(&e));
	return why;
}

bool cpio_file(struct cpio_file *file, const void *archive, size_t size, unsigned int index)
{
	struct entry e = { .next = 0 };

	while (!read_entry(&e, archive, size, e.next) && !is_trailer(&e)) {
		if (!e.regular || index--)
			continue;
		*file = e.file;
		return true;
	}
	return false;
}

int cpio_find(struct cpio_file *file, const void *archive, size_t size, const char *name)
{
	for (unsigned int i = 0; cpio_file(file, archive, size, i); i++)
		if (strcmp(file->name, name) == 0)
			return (int)i;
	return -1;
}
