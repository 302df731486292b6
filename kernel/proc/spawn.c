/* The chain as the kernel uses it: every cure on. See spawn.h and spawn_chain.h. */
#include "proc/spawn.h"

#include "arch/words.h"
#include "base/protect.h"
#include "base/string.h"
#include "proc/fs.h"
#include "proc/thread.h"
#include "report/inject.h"
#include "report/report.h"

#define FS_STACK (4 * KiB)

struct endpoint init_endpoint = { .name = "init" };
struct endpoint gate_endpoint = { .name = "gate" };
void (*spawn_probe)(void);
uint64_t spawn_instructions;
enum spawn_forgets spawn_forgets;

void spawn_request(struct message *m, uint32_t parent, const char *name, uint64_t argument)
{
	m->kind = INIT_LAUNCH;
	m->sender = parent;
	m->words[0] = argument;
	string_copy((char *)m->data, name, PROCESS_NAME_MAX);
	m->length = (uint32_t)strlen((char *)m->data);
}

bool spawn_fs_server(void)
{
	static struct thread *fs;

	if (fs)
		thread_free(fs); /* that one was killed */
	fs = thread_create("fs", fs_server, NULL, FS_STACK);
	fs_endpoint.dead = !fs;
	return fs;
}

void spawn_services(void (*init)(void *), size_t stack)
{
	if (!spawn_fs_server() || !thread_create("init", init, NULL, stack))
		panic("no-servers");
}

int32_t fs_open(struct message *m, struct launch *l)
{
	int32_t status;

	m->kind = FS_OPEN;
	m->length = (uint32_t)strlen(l->name);
	memcpy(m->data, l->name, m->length);
	status = ipc_call(&fs_endpoint, m);
	l->file = (uint32_t)m->words[0];
	return status;
}

int32_t fs_size(struct message *m, struct launch *l)
{
	int32_t status;

	m->kind = FS_SIZE;
	m->length = 0;
	m->words[0] = l->file;
	status = ipc_call(&fs_endpoint, m);
	l->bytes = m->words[1];
	return status;
}

INJECT_SITE(elf, read, fs_read, ERROR_IO, "the file could not be read")

int32_t fs_read(struct message *m, const struct launch *l, size_t offset, size_t bytes)
{
	int32_t status;

	if (inject(&elf_read_site, bytes))
		return ERROR_IO;
	m->kind = FS_READ;
	m->length = 0;
	m->words[0] = l->file;
	m->words[1] = offset;
	m->words[2] = bytes;
	status = ipc_call(&fs_endpoint, m);
	return !status && m->length != bytes ? ERROR_IO : status;
}

void fs_close(struct message *m, const struct launch *l)
{
	m->kind = FS_CLOSE;
	m->length = 0;
	m->words[0] = l->file;
	ipc_call_back(&fs_endpoint, m);
}

static enum space_kind kind_of(const struct elf_segment *s)
{
	if (s->flags & ELF_EXECUTE)
		return s->flags & ELF_WRITE ? SPACE_TEXT_WRITABLE : SPACE_TEXT;
	return s->flags & ELF_WRITE ? SPACE_DATA : SPACE_RODATA;
}

/* The page at va; already there only where overlaps were not checked. */
static char *page_at(struct process *p, uintptr_t va, enum space_kind kind)
{
	void *page = space_page(&p->space, va, false);

	return page ? page : space_map_new(&p->space, va, kind);
}

static int32_t load_page(struct process *p, const struct launch *l, const struct elf_segment *s,
			 size_t done, struct message *m)
{
	char *page = page_at(p, s->address + done, kind_of(s));

	if (!page)
		return ERROR_MEMORY;
	for (size_t at = done; at < s->file && at < done + PAGE_SIZE;) {
		size_t left =
			s->file - at < done + PAGE_SIZE - at ? s->file - at : done + PAGE_SIZE - at;
		size_t n = left < MESSAGE_DATA_BYTES ? left : MESSAGE_DATA_BYTES;
		int32_t status = fs_read(m, l, s->offset + at, n);

		if (status)
			return status;
		memcpy(page + at - done, m->data, n);
		at += n;
	}
	return 0;
}

int32_t load_program(struct process *p, const struct launch *l, struct message *m)
{
	int32_t status = 0;

	for (unsigned int i = 0; i < l->plan.count; i++) {
		const struct elf_segment *s = &l->plan.segments[i];

		for (size_t done = 0; !status && done < s->memory; done += PAGE_SIZE)
			status = load_page(p, l, s, done, m);
	}
	p->entry = l->plan.entry;
	return status;
}

void find_services(struct service *table)
{
	static struct endpoint *const known[] = { &init_endpoint, &gate_endpoint, &fs_endpoint };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		string_copy(table[i].name, known[i]->name, sizeof(table[i].name));
		table[i].endpoint = known[i];
	}
}

static struct service *find_service(struct service *table, const char *name)
{
	for (int i = 0; i < MAX_SERVICES; i++)
		if (table[i].endpoint && strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

void give_boot_channels(struct process *p, const struct launch *l, struct message *m)
{
	static const char *const names[NR_BOOT_HANDLES] = {
		[HANDLE_INIT] = "init",
		[HANDLE_GATE] = "gate",
	};

	for (int i = 0; i < NR_BOOT_HANDLES; i++) {
		struct service *s = find_service(l->services, names[i]);

		if (!s)
			continue;
		p->handles[i] = (struct handle){ .kind = HANDLE_ENDPOINT, .endpoint = s->endpoint };
		s->given++;
	}
	m->words[0] = l->argument;
	m->words[1] = NR_BOOT_HANDLES;
	m->length = 0;
	copy_words(&p->message, m, offsetof(struct message, data));
}

void note_launch(struct dyn_spawn *table, const struct launch *l, uint32_t pid)
{
	struct dyn_spawn *row = &table[pid - 1];

	string_copy(row->name, l->name, sizeof(row->name));
	row->parent = l->parent;
	row->argument = l->argument;
	row->bytes = l->bytes;
	row->launches++;
	row->runs = true;
}

void count_launches(struct dyn_spawn *table, struct message *m)
{
	m->words[0] = 0;
	m->words[1] = 0;
	for (uint32_t i = 0; i < MAX_PROCESSES; i++) {
		table[i].runs = table[i].runs && process_find(i + 1);
		m->words[0] += table[i].launches;
		m->words[1] += table[i].runs;
	}
}

#define CHAIN_SERVER init_server
#define CHAIN_BOXED 1
#define CHAIN_SCRATCH 1
#define CHAIN_FLAT 1
#define CHAIN_ROWS 0
#include "proc/spawn_chain.h"
