/*
 * See cpio.h. An entry: 110 bytes of header in hexadecimal, name, data, each padded to 4 bytes. A trailer ends an
 * archive; after it come NULs, and maybe another archive. Names of one file (hard links) are entries of one inode
 * and device, and only one of them, most often the last, has its data.
 */
#include "proc/cpio.h"

#include "base/string.h"

#define HEADER_BYTES 110
#define MAGIC "070701"
#define FIELD_BYTES 8
#define TRAILER "TRAILER!!!"
#define MODE_TYPE 0170000
#define MODE_REGULAR 0100000

enum field { INODE, MODE, LINKS = 4, FILE_SIZE = 6, MAJOR, MINOR, NAME_SIZE = 11, NR_FIELDS };

struct entry {
	struct cpio_file file;
	uint32_t fields[NR_FIELDS];
	size_t next;	/* offset of the entry after it */
	size_t archive; /* of the first entry of its archive */
	bool end;	/* there is none: the last archive is over */
};

/* Eight hexadecimal digits; false at anything else. */
static bool number(const char *digits, uint32_t *value)
{
	*value = 0;
	for (int i = 0; i < FIELD_BYTES; i++) {
		char c = digits[i] | 0x20;

		if (c >= '0' && c <= '9')
			*value = *value << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*value = *value << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	return true;
}

static bool read_fields(uint32_t *fields, const char *header)
{
	for (size_t i = 0; i < NR_FIELDS; i++)
		if (!number(header + sizeof(MAGIC) - 1 + i * FIELD_BYTES, &fields[i]))
			return false;
	return true;
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
	size_t name, data;

	if (at > size || size - at < HEADER_BYTES)
		return "truncated";
	if (memcmp(header, MAGIC, sizeof(MAGIC) - 1) != 0)
		return "bad-magic";
	if (!read_fields(e->fields, header))
		return "bad-number";
	e->file.size = e->fields[FILE_SIZE];
	name = e->fields[NAME_SIZE];
	data = ALIGN_UP(at + HEADER_BYTES + name, 4UL);
	e->next = ALIGN_UP(data + e->file.size, 4UL);
	if (data > size || e->file.size > size - data)
		return "truncated";
	if (!ends_at(header + HEADER_BYTES, name))
		return "bad-name";
	e->file.name = header + HEADER_BYTES;
	e->file.data = archive + data;
	return NULL;
}

static bool is_trailer(const struct entry *e)
{
	return strcmp(e->file.name, TRAILER) == 0;
}

static bool is_regular(const struct entry *e)
{
	return (e->fields[MODE] & MODE_TYPE) == MODE_REGULAR;
}

/* After a trailer: another archive, where entries may begin, or nothing but NULs. */
static const char *enter_archive(struct entry *e, const char *archive, size_t size)
{
	size_t at = e->next < size ? e->next : size;

	while (at < size && !archive[at])
		at++;
	e->archive = at;
	e->end = at == size;
	if (e->end)
		return NULL;
	if (at % 4 || size - at < HEADER_BYTES ||
	    memcmp(archive + at, MAGIC, sizeof(MAGIC) - 1) != 0)
		return "trailing-data";
	return read_entry(e, archive, size, at);
}

/* The entry after this one, in whatever archive. Not NULL: what is wrong with it. */
static const char *advance(struct entry *e, const char *archive, size_t size)
{
	const char *why = read_entry(e, archive, size, e->next);

	while (!why && !e->end && is_trailer(e))
		why = enter_archive(e, archive, size);
	return why;
}

static bool same_file(const struct entry *a, const struct entry *b)
{
	return a->fields[INODE] == b->fields[INODE] && a->fields[MAJOR] == b->fields[MAJOR] &&
	       a->fields[MINOR] == b->fields[MINOR];
}

/* A name whose data stand with another name of the same file, in the same archive. */
static void find_data(struct entry *e, const char *archive, size_t size)
{
	struct entry other = { .next = e->archive };

	if (e->file.size || e->fields[LINKS] < 2)
		return;
	while (!read_entry(&other, archive, size, other.next) && !is_trailer(&other)) {
		if (!is_regular(&other) || !same_file(e, &other) || !other.file.size)
			continue;
		e->file.data = other.file.data;
		e->file.size = other.file.size;
	}
}

const char *cpio_check(const void *archive, size_t size)
{
	struct entry e = { .next = 0 };
	const char *why;

	do {
		why = advance(&e, archive, size);
	} while (!why && !e.end);
	return why;
}

bool cpio_file(struct cpio_file *file, const void *archive, size_t size, unsigned int index)
{
	struct entry e = { .next = 0 };

	while (!advance(&e, archive, size) && !e.end) {
		if (!is_regular(&e) || index--)
			continue;
		find_data(&e, archive, size);
		*file = e.file;
		return true;
	}
	return false;
}

/* Of two files of one name, in one archive or two, the later is the one that is meant. */
int cpio_find(struct cpio_file *file, const void *archive, size_t size, const char *name)
{
	struct entry e = { .next = 0 };
	int found = -1;

	for (int i = 0; !advance(&e, archive, size) && !e.end; i += is_regular(&e)) {
		if (!is_regular(&e) || strcmp(e.file.name, name) != 0)
			continue;
		found = i;
		find_data(&e, archive, size);
		*file = e.file;
	}
	return found;
}
