/*
 * Processes: a slot, an address space, a thread with a kernel stack, handles and mmap regions. Made by
 * proc/spawn.c in the order init … start; until process_start() a struct process is plain data that may
 * lie anywhere and be moved, which is just what the seed's kernel did with it on its stack.
 *
 * Slots hold blocks of one size (process_init), since what a process takes is one of the things measured:
 * with 256 regions inside, with 64, or with a pointer to them.
 */
#ifndef PROC_PROCESS_H
#define PROC_PROCESS_H

#include "base/stack.h"
#include "mem/space.h"
#include "proc/abi.h"
#include "proc/thread.h"

#define MAX_PROCESSES 64
#define MAX_HANDLES 32
#define MAX_REGIONS 256
#define PROCESS_NAME_MAX 12
#define KERNEL_STACK_DEFAULT (8 * KiB)
#define USER_STACK_SIZE (16 * KiB)

/* User stacks and regions, above every program; a slot has its own 16 MiB and 4 GiB of them. */
#define USER_STACKS 0x1000000000UL
#define USER_STACK_SPAN (16 * MiB)
#define USER_REGIONS 0x2000000000UL
#define USER_REGION_SPAN (1UL << 30)

struct region {
	uintptr_t base; /* 0: this row is free */
	size_t size;	/* bytes */
	uint64_t kind;	/* enum space_kind */
	uint64_t pages; /* how many of it are mapped */
};

/* Where the rows are: in the process itself, or on the heap, where they grow. */
struct regions {
	struct region *rows;
	unsigned int capacity;
	bool on_heap;
};

enum handle_kind { HANDLE_FREE, HANDLE_ENDPOINT, HANDLE_PROCESS };

struct handle {
	enum handle_kind kind;
	uint32_t pid;
	struct endpoint *endpoint;
	uint64_t rights; /* nobody asks yet; part of what a handle costs */
};

/* Whose child a process is, when it is no process's. */
enum { PARENT_KERNEL = 0, PARENT_NONE = 0xffff };

struct process {
	uint32_t pid; /* slot + 1 */
	uint32_t parent;
	char name[PROCESS_NAME_MAX];
	int64_t code; /* what it exited with */
	struct thread *thread;
	struct space space;
	struct stack user_stack, user_stack_pages; /* as EL0 sees it, and the kernel */
	uintptr_t entry;
	uintptr_t regions_end; /* where the next region may begin */
	struct frame user;
	struct handle handles[MAX_HANDLES];
	struct message
		message; /* what its system calls send; at first the boot message: argument, services */
	struct regions regions;
};

/* What process_init() is told: how large a block is, and what is inside. */
struct process_with_256 {
	struct process process;
	struct region rows[MAX_REGIONS];
};
struct process_with_64 {
	struct process process;
	struct region rows[64];
};

/* The table of slots; NULL: free. GDB's `hw procs` reads it. */
extern struct process *processes[MAX_PROCESSES];

/* Once a boot: blocks of so many bytes for slots, kernel stacks of so many bytes, and user tables on. */
void process_init(size_t block, size_t kernel_stack);
size_t process_block_bytes(void);
size_t process_kernel_stack_bytes(void);

/* A free slot's block, not yet in the table, and its pid; NULL: all are taken. Back with process_drop(). */
struct process *process_reserve(void);
uint32_t process_pid_of(const struct process *block);

/* Fill what needs no memory but the process itself. rows: NULL for a table on the heap. */
void process_prepare(struct process *p, uint32_t pid, const char *name, struct region *rows,
		     unsigned int capacity);

/* Space and user stack. 0 or ERROR_MEMORY. Movable afterwards. */
int32_t process_make_space(struct process *p);

/* p is where it stays: its thread, its stacks' names, its place in the table. 0 or ERROR_MEMORY. */
int32_t process_start(struct process *p);

/* Give back all that p has but its block: for one that never started, and for one that ended. */
void process_release(struct process *p);
/* And its block. */
void process_drop(struct process *p);

/* The living or ended process of that pid, or NULL. */
struct process *process_find(uint32_t pid);

/* Wait for it to end, give everything back: its exit code, or ERROR_KILLED and in *detector (or NULL) by what. */
int64_t process_wait(uint32_t pid, const char **detector);

/* The current process ends by itself. */
__attribute__((noreturn)) void process_exit(int64_t code);

/* It ended, by itself or killed: its children lose their parent, and init hears of it. NULL: nothing. */
void process_ended(struct process *p);

/* Collect the ended ones that nobody waits for; init does. How many. */
unsigned int process_reap_orphans(void);

/* A handle of the current process: its number, or ERROR_SLOTS. */
int64_t process_add_handle(struct process *p, struct handle handle);

/* mmap and munmap; see SYS_MMAP. */
int64_t process_map(struct process *p, size_t bytes);
int64_t process_unmap(struct process *p, uintptr_t address);

/* The highest watermark of any process's kernel stack that was given back, in bytes. */
extern size_t process_stack_high;

/* How many slots are taken. */
unsigned int process_count(void);

/* Tables of regions that grow live here. */
extern struct heap region_heap;
void regions_free(struct region *rows);

#endif
