/*
 * The init server, and what it does for a launch: the file from the fs server, a process of it in a slot.
 * The call chain itself is proc/spawn_chain.h, compiled here with every cure on, and in kernel/labs once for
 * each way that it has been, side by side.
 */
#ifndef PROC_SPAWN_H
#define PROC_SPAWN_H

#include "proc/elf.h"
#include "proc/ipc.h"
#include "proc/process.h"

extern struct endpoint init_endpoint; /* handle 0 of every process */
extern struct endpoint gate_endpoint; /* handle 1: answered by whoever started it all, or nobody */

enum init_request {
	INIT_LAUNCH, /* data: name; words[0]: argument; sender: parent → words[0]: pid */
	INIT_COUNT,  /* → words[0]: launches since boot, words[1]: programs that run */
};

/* A launch, ready to be sent. parent: a pid, or PARENT_KERNEL. */
void spawn_request(struct message *m, uint32_t parent, const char *name, uint64_t argument);

/* The production chain's server; the labs have others. */
void init_server(void *unused);

/* A new fs server, at first and after one was killed. False: no memory. */
bool spawn_fs_server(void);

/* fs and init, the latter on `stack` bytes with this chain; process_init() came before. */
void spawn_services(void (*init)(void *), size_t stack);

/* Retired instructions of the last launch, from the request to the answer (cycles_start() came before). */
extern uint64_t spawn_instructions;

/* How far a program goes down in the chain: called in its last function; NULL: not at all. */
extern void (*spawn_probe)(void);

/* Who answers to what; init finds each process's first handles here. */
#define MAX_SERVICES 32
struct service {
	char name[PROCESS_NAME_MAX];
	uint32_t given; /* to how many processes */
	struct endpoint *endpoint;
	uint64_t rights;
};
void find_services(struct service *table);

/* Bugs to be found by spawn.oom: what a launch that was refused does not give back. */
extern enum spawn_forgets {
	FORGETS_NOTHING,
	FORGETS_PROCESS, /* the slot and what is in it */
	FORGETS_HANDLE,	 /* that it was to stand behind, in whoever asked for it */
	NR_SPAWN_FORGETS
} spawn_forgets;

/* What a launch carries down the chain. */
struct launch {
	const char *name;
	struct service *services;
	uint64_t argument;
	uint32_t parent;
	uint32_t file;
	size_t bytes;
	struct elf_plan plan;
};

/* One request of the chain to the fs server; 0 or an error. */
int32_t fs_open(struct message *m, struct launch *l);
int32_t fs_size(struct message *m, struct launch *l);
int32_t fs_read(struct message *m, const struct launch *l, size_t offset, size_t bytes);
void fs_close(struct message *m, const struct launch *l);

/* The program's segments into the process's space, in pieces of 1 KiB. 0 or an error. */
int32_t load_program(struct process *p, const struct launch *l, struct message *m);

/* The two channels that every process begins with, and the message that tells it so. */
void give_boot_channels(struct process *p, const struct launch *l, struct message *m);

/* What init remembers of each slot. */
struct dyn_spawn {
	char name[PROCESS_NAME_MAX];
	uint32_t parent;
	uint64_t argument;
	size_t bytes;
	uint64_t launches;
	bool runs;
};

/* A launch went well: remember it. And what INIT_COUNT answers. */
void note_launch(struct dyn_spawn *table, const struct launch *l, uint32_t pid);
void count_launches(struct dyn_spawn *table, struct message *m);

#endif
