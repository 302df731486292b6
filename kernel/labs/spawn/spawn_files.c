/*
 * Spawn labs: the file server is asked for what is not there. Each request has each of its numbers
 * at its bound and past it; what is refused is refused by name, and opens and closes nothing.
 */
#include "lab/lab.h"
#include "report/report.h"
#include "base/string.h"
#include "labs/lib/system.h"
#include "proc/fs.h"
#include "proc/initrd.h"

#define PIECE MESSAGE_DATA_BYTES
#define PAST_32_BITS (1UL << 32)

static unsigned int wrong;

static int32_t ask(enum fs_request kind, uint64_t file, uint64_t offset, uint64_t bytes)
{
	static struct message m;

	m = (struct message){ .kind = kind, .words = { file, offset, bytes } };
	ipc_call_back(&fs_endpoint, &m);
	return m.status;
}

static int32_t open_named(const char *name)
{
	static struct message m;
	size_t length = strlen(name);

	m = (struct message){ .kind = FS_OPEN, .length = (uint32_t)length };
	memcpy(m.data, name, length);
	ipc_call_back(&fs_endpoint, &m);
	return m.status;
}

static void expect(int32_t expected, int32_t status, const char *request, const char *what)
{
	report("[spawn] files request=%s %s status=%d open=%u", request, what, status,
	       fs_open_files);
	wrong += status != expected;
}

static void ask_for_sizes(unsigned int files)
{
	expect(0, ask(FS_SIZE, 0, 0, 0), "size", "file=first");
	expect(0, ask(FS_SIZE, files - 1, 0, 0), "size", "file=last");
	expect(ERROR_NUMBER, ask(FS_SIZE, files, 0, 0), "size", "file=past");
	expect(ERROR_NUMBER, ask(FS_SIZE, PAST_32_BITS, 0, 0), "size", "file=2^32");
}

static void ask_for_pieces(unsigned int file, unsigned int files, size_t size)
{
	expect(0, ask(FS_READ, file, size - 1, 1), "read", "at=last");
	expect(0, ask(FS_READ, file, size, 0), "read", "at=end bytes=0");
	expect(ERROR_NUMBER, ask(FS_READ, file, size, 1), "read", "at=end bytes=1");
	expect(ERROR_NUMBER, ask(FS_READ, file, size + 1, 0), "read", "at=past bytes=0");
	expect(ERROR_NUMBER, ask(FS_READ, file, SIZE_MAX, 2), "read", "at=all bytes=2");
	expect(0, ask(FS_READ, file, 0, PIECE), "read", "bytes=message");
	expect(ERROR_NUMBER, ask(FS_READ, file, 0, PIECE + 1), "read", "bytes=past");
	expect(ERROR_NUMBER, ask(FS_READ, files, 0, 0), "read", "file=past");
	expect(ERROR_NUMBER, ask(FS_READ, PAST_32_BITS, 0, 0), "read", "file=2^32");
}

static void open_and_close(unsigned int file, unsigned int files)
{
	expect(ERROR_NUMBER, ask(FS_CLOSE, file, 0, 0), "close", "when=not-open");
	expect(ERROR_NO_FILE, open_named(""), "open", "name=none");
	expect(ERROR_NO_FILE, open_named("hell"), "open", "name=shorter");
	expect(ERROR_NO_FILE, open_named("hello-"), "open", "name=longer");
	expect(ERROR_NO_FILE, open_named("hello-hello-hello-hello-hello-he"), "open", "name=32");
	expect(0, open_named("hello"), "open", "name=hello");
	expect(ERROR_NUMBER, ask(FS_CLOSE, files, 0, 0), "close", "file=past");
	expect(ERROR_NUMBER, ask(FS_CLOSE, PAST_32_BITS, 0, 0), "close", "file=2^32");
	expect(0, ask(FS_CLOSE, file, 0, 0), "close", "file=hello");
	expect(ERROR_NUMBER, ask(FS_CLOSE, file, 0, 0), "close", "when=closed");
}

LAB(spawn, files, "the file server is asked for what is not there", SYSTEM_STACK_PARAM)
{
	struct system_count before;
	struct cpio_file hello, other;
	unsigned int files = 0;
	int index;

	system_start(a->stack);
	before = system_counts();
	index = initrd_find(&hello, "hello");
	while (initrd_file(&other, files))
		files++;
	if (index < 0 || hello.size <= PIECE)
		end("bad-args why=initrd-small : this lab wants a program hello of more than a message");
	ask_for_sizes(files);
	ask_for_pieces((unsigned int)index, files, hello.size);
	open_and_close((unsigned int)index, files);
	expect(ERROR_NUMBER, ask(FS_CLOSE + 1, 0, 0, 0), "none", "kind=past");
	system_expect_census(&before);
	system_report_stacks();
	end(wrong ? "survived" : "ok");
}
