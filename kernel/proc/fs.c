/* See fs.h. */
#include "proc/fs.h"

#include "base/string.h"
#include "proc/initrd.h"

#define NAME_BYTES 32

struct endpoint fs_endpoint = { .name = "fs" };
unsigned int fs_open_files;
void (*fs_read_hook)(void);

static int32_t open(struct message *m)
{
	char name[NAME_BYTES];
	struct cpio_file file;
	int index;

	if (m->length >= sizeof(name))
		return ERROR_NO_FILE;
	string_copy(name, (const char *)m->data, m->length + 1);
	index = initrd_find(&file, name);
	if (index < 0)
		return ERROR_NO_FILE;
	fs_open_files++;
	m->words[0] = (uint64_t)index;
	m->length = 0;
	return 0;
}

/* The one that words[0] says. */
static bool asked_for(const struct message *m, struct cpio_file *file)
{
	return m->words[0] <= UINT32_MAX && initrd_file(file, (unsigned int)m->words[0]);
}

static int32_t size(struct message *m)
{
	struct cpio_file file;

	if (!asked_for(m, &file))
		return ERROR_NUMBER;
	m->words[1] = file.size;
	return 0;
}

static int32_t read(struct message *m)
{
	size_t offset = m->words[1];
	size_t bytes = m->words[2];
	struct cpio_file file;

	if (fs_read_hook)
		fs_read_hook();
	if (!asked_for(m, &file) || bytes > MESSAGE_DATA_BYTES || offset > file.size ||
	    bytes > file.size - offset)
		return ERROR_NUMBER;
	memcpy(m->data, (const char *)file.data + offset, bytes);
	m->length = (uint32_t)bytes;
	return 0;
}

static int32_t close(struct message *m)
{
	struct cpio_file file;

	if (!fs_open_files || !asked_for(m, &file))
		return ERROR_NUMBER;
	fs_open_files--;
	return 0;
}

static int32_t (*const requests[])(struct message *m) = {
	[FS_OPEN] = open,
	[FS_SIZE] = size,
	[FS_READ] = read,
	[FS_CLOSE] = close,
};

void fs_server(__attribute__((unused)) void *unused)
{
	static struct message m;

	fs_open_files = 0; /* whoever served before took what was open with it */
	for (;;) {
		ipc_receive(&fs_endpoint, &m);
		m.status = m.kind < ARRAY_SIZE(requests) ? requests[m.kind](&m) : ERROR_NUMBER;
		ipc_answer(&m);
	}
}
