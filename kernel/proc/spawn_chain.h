/*
 * The seed document's call chain, a template: init_server → finish_fs_launch →
 * spawn_user_elf_with_boot_channel → new_user_elf. Whoever includes it says which of the seed's cures are on:
 *
 *   CHAIN_SERVER   what init_server is called here
 *   CHAIN_BOXED    0: a process is built on the stack and moved, twice, and init's tables lie on its stack
 *                  1: all is written where it stays
 *   CHAIN_SCRATCH  0: every function has messages of its own; 1: one buffer is passed down
 *   CHAIN_FLAT     1: the thin wrapper is part of new_user_elf
 *   CHAIN_ROWS     mmap regions inside a process: MAX_REGIONS, 64, or 0: on the heap
 *
 * noinline: each has the frame that is measured. always_inline: not a function of the seed's chain.
 */
#include "arch/cycles.h"
#include "base/protect.h"
#include "base/string.h"
#include "proc/fs.h"
#include "proc/spawn.h"
#include "report/report.h"

/* A process, as it lies in its slot, or on the way there on a stack. */
struct chain_block {
	struct process process;
#if CHAIN_ROWS
	struct region rows[CHAIN_ROWS];
#endif
};

#if CHAIN_ROWS
#define CHAIN_REGIONS(block) (block)->rows, CHAIN_ROWS
#else
#define CHAIN_REGIONS(block) NULL, 0
#endif

/* A message of its own, or the one that was passed down. */
#if CHAIN_SCRATCH
#define CHAIN_PARAM , struct message *passed_down
#define CHAIN_PASS , passed_down
#define CHAIN_MESSAGE(m) struct message *m = passed_down
#else
#define CHAIN_PARAM
#define CHAIN_PASS
#define CHAIN_MESSAGE(m)                                                                           \
	struct message m##_here = { .kind = 0 };                                                   \
	struct message *m = &m##_here
#endif

/* A block of its own, to be moved to `out` when it is done, or `out` itself. */
#if CHAIN_BOXED
#define CHAIN_BLOCK(b, out) struct chain_block *b = (out)
#define CHAIN_MOVE(out, b) ((void)0)
#else
#define CHAIN_BLOCK(b, out)                                                                        \
	struct chain_block b##_here;                                                               \
	struct chain_block *b = &b##_here
#define CHAIN_MOVE(out, b) (*(out) = *(b))
#endif

/* 0 or an error; *out is filled either way, as far as it went. */
__attribute__((noinline)) static int32_t new_user_elf(struct chain_block *out, uint32_t pid,
						      const struct launch *l CHAIN_PARAM)
{
	CHAIN_MESSAGE(read);
	CHAIN_BLOCK(b, out);
	struct process *p = &b->process;
	int32_t status;

	process_prepare(p, pid, l->name, CHAIN_REGIONS(b));
	p->parent = l->parent;
	if (spawn_probe)
		spawn_probe();
	status = process_make_space(p);
	if (!status)
		status = load_program(p, l, read);
#if CHAIN_FLAT
	give_boot_channels(p, l, read);
#endif
	CHAIN_MOVE(out, b);
	return status;
}

#if CHAIN_FLAT
#define CHAIN_SPAWN new_user_elf
#else
#define CHAIN_SPAWN spawn_user_elf_with_boot_channel
__attribute__((noinline)) static int32_t
spawn_user_elf_with_boot_channel(struct chain_block *out, uint32_t pid,
				 const struct launch *l CHAIN_PARAM)
{
	CHAIN_MESSAGE(boot);
	CHAIN_BLOCK(b, out);
	int32_t status = new_user_elf(b, pid, l CHAIN_PASS);

	give_boot_channels(&b->process, l, boot);
	CHAIN_MOVE(out, b);
	return status;
}
#endif

/* A slot, filled and started, or given back. Its pid, or an error. */
__attribute__((always_inline)) static inline int64_t fill_slot(const struct launch *l CHAIN_PARAM)
{
	struct chain_block *slot = (struct chain_block *)process_reserve();
	uint32_t pid;
	int32_t status;

	if (!slot)
		return ERROR_SLOTS;
	pid = process_pid_of(&slot->process);
	status = CHAIN_SPAWN(slot, pid, l CHAIN_PASS);
	if (!status)
		status = process_start(&slot->process);
	if (!status)
		return pid;
	if (spawn_forgets != FORGETS_PROCESS)
		process_drop(&slot->process);
	return status;
}

/* The file, what is in it, and a process of it. Its pid, or an error. */
__attribute__((noinline)) static int64_t finish_fs_launch(struct launch *l CHAIN_PARAM)
{
	CHAIN_MESSAGE(opened);
	CHAIN_MESSAGE(sized);
	CHAIN_MESSAGE(head);
	CHAIN_MESSAGE(closed);
	int64_t pid = fs_open(opened, l);
	size_t head_bytes;
	const char *why;

	if (pid)
		return pid;
	pid = fs_size(sized, l);
	head_bytes = l->bytes < ELF_HEAD_BYTES ? l->bytes : ELF_HEAD_BYTES;
	if (!pid)
		pid = fs_read(head, l, 0, head_bytes);
	if (!pid) {
		why = elf_examine(&l->plan, head->data, head_bytes, l->bytes,
				  protected(PROTECT_ELF_CHECK));
		if (why)
			report("[spawn] refused program=%s why=%s", l->name, why);
		pid = why ? ERROR_PROGRAM : fill_slot(l CHAIN_PASS);
	}
	fs_close(closed, l);
	return pid;
}

__attribute__((always_inline)) static inline void serve(struct dyn_spawn *dyn_spawns,
							struct service *services, struct message *m)
{
	char name[PROCESS_NAME_MAX];
	struct launch l = {
		.name = name, .services = services, .argument = m->words[0], .parent = m->sender
	};
	uint64_t before = cycles();
	int64_t pid;

	string_copy(name, (const char *)m->data,
		    m->length < sizeof(name) ? m->length + 1 : sizeof(name));
#if CHAIN_SCRATCH
	/* The request has been read: its buffer is free until the answer. */
	pid = finish_fs_launch(&l, m);
#else
	pid = finish_fs_launch(&l);
#endif
	m->status = pid < 0 ? (int32_t)pid : 0;
	m->length = 0;
	m->words[0] = pid < 0 ? 0 : (uint64_t)pid;
	if (pid > 0)
		note_launch(dyn_spawns, &l, (uint32_t)pid);
	spawn_instructions = cycles() - before;
}

#if CHAIN_BOXED
#define CHAIN_STAYS static
#else
#define CHAIN_STAYS
#endif

void CHAIN_SERVER(__attribute__((unused)) void *unused)
{
	CHAIN_STAYS struct dyn_spawn dyn_spawns[MAX_PROCESSES] = { { .launches = 0 } };
	CHAIN_STAYS struct service services[MAX_SERVICES] = { { .given = 0 } };
	CHAIN_STAYS struct message m = { .kind = 0 };

	find_services(services);
	for (;;) {
		if (!ipc_receive(&init_endpoint, &m)) {
			process_reap_orphans();
			continue;
		}
		m.status = 0;
		if (m.kind == INIT_LAUNCH)
			serve(dyn_spawns, services, &m);
		else if (m.kind == INIT_COUNT)
			count_launches(dyn_spawns, &m);
		else
			m.status = ERROR_NUMBER;
		ipc_answer(&m);
	}
}
