/*
 * labs/cost/least.S: jobs of the kernel in as few instructions as AArch64 takes for them, for the cost.* labs to
 * measure beside the kernel's own. Each does the whole job, on the kernel's own data: the same checks, the
 * same counts, the same records, the same order of what an interrupt could see. What is not the job is left
 * out: a frame record where nothing is called, registers kept for a path that is not taken. Where the kernel
 * would go another way (a protection is off, a check fails, memory ran out), they stop at a `brk`.
 */
#ifndef LABS_COST_LEAST_H
#define LABS_COST_LEAST_H

#include "arch/frame.h"

/* struct mem_pool (mem/pool.h) and struct pool_block. */
#define POOL_BASE 8 /* and inverse */
#define POOL_SHIFT 24
#define POOL_CAPACITY 32 /* and blocks */
#define POOL_SIZE 64	 /* and block */
#define POOL_BLOCK 72
#define POOL_BEFORE 80 /* and behind */
#define POOL_IN_USE 96 /* and high_water */
#define POOL_ALLOCS 112
#define POOL_FREES 120
#define POOL_FREE_LIST 144
#define POOL_KEY 160 /* and copy_key */
#define POOL_MODE 248
#define BLOCK_ALLOCATED_BY 0
#define BLOCK_FREED_BY 8
#define BLOCK_STATE 16
#define BLOCK_RECORD_SIZE 24
#define STATE_FREE 0
#define STATE_USED 1

/* struct heap (mem/heap.h) and its header. */
#define HEAP_BASE 0 /* and size */
#define HEAP_ALLOCS 16
#define HEAP_STEPS 40
#define HEAP_RECORDS 96
#define HEAP_USED 1
#define HEAP_FIRST 1

/* struct thread (base/current.h), struct cpu (base/cpu.h), enum thread_state. */
#define THREAD_CPU 8
#define THREAD_STATE 360
#define THREAD_STACK_BASE 400 /* and size */
#define THREAD_STACK_GUARD 416
#define THREAD_STACK_VIEW 424 /* and room */
#define THREAD_NEXT 488
#define CPU_INDEX 0
#define CPU_IRQ_STACK_TOP 8
#define CPU_IDLE 288
#define STATE_READY 0
#define STATE_RUNNING 1

/* enum protection (base/protect.h). */
#define OFF_SENTINEL 3
#define OFF_SP_CHECK 4
#define OFF_POOL_LINK 17
#define OFF_POISON 18
#define OFF_REDZONE 19
#define OFF_HEAP_CHECK 22

#ifndef __ASSEMBLER__

#include "arch/types.h"

#define LEAST_AT(type, member, offset)                                                             \
	_Static_assert(offsetof(struct type, member) == (offset), "least.S")

struct mem_pool;
struct heap;
struct thread;

/* Stands for the flag of the allocator's own injection site, which has no name outside its file. */
extern bool least_armed;

void *least_pool_alloc(struct mem_pool *pool);
unsigned int least_pool_free(struct mem_pool *pool, void *block);
void *least_heap_alloc(struct heap *h, size_t size);
struct frame *least_check(struct thread *t);

/* Bytes from `from` up to `to` that hold `paint`, without a hole; whole 64, and at least those. */
struct least_range {
	const char *from, *to;
	uint64_t paint;
};
size_t least_scan(const struct least_range *range);

/*
 * Vectors whose svc from EL1 fills the frame, calls a handler on the exception stack, and resumes the frame
 * that it returns; every other exception is the kernel's. _same: the handler is nothing but `ret`. _yield:
 * the checks of a yield, and then the next of the threads in least_queue.
 */
extern char least_vectors_same[], least_vectors_yield[];
extern struct least_queue {
	struct thread *head, *tail;
} least_queue;

#endif
#endif
