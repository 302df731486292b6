/* See initrd.h. */
#include "proc/initrd.h"

#include "base/string.h"
#include "report/report.h"

LINKER_SYMBOL(initrd_default);
LINKER_SYMBOL(initrd_default_end);

static const char *start = initrd_default;
static const char *end_of_archive = initrd_default_end;

static size_t size(void)
{
	return (size_t)(end_of_archive - start);
}

void initrd_use(const void *archive, size_t bytes)
{
	const char *why = cpio_check(archive, bytes);

	if (why)
		end("bad-args why=initrd-%s size=%lu : -initrd is no cpio archive (newc); make one with python -m harness.qemu.initrd",
		    why, bytes);
	start = archive;
	end_of_archive = start + bytes;
}

static struct cpio_file replaced; /* name NULL: none */

void initrd_replace(const char *name, const void *data, size_t bytes)
{
	replaced = (struct cpio_file){ name, data, bytes };
}

static void apply_replacement(struct cpio_file *file)
{
	if (replaced.name && strcmp(file->name, replaced.name) == 0)
		*file = replaced;
}

bool initrd_file(struct cpio_file *file, unsigned int index)
{
	bool found = cpio_file(file, start, size(), index);

	if (found)
		apply_replacement(file);
	return found;
}

int initrd_find(struct cpio_file *file, const char *name)
{
	int index = cpio_find(file, start, size(), name);

	if (index >= 0)
		apply_replacement(file);
	return index;
}
