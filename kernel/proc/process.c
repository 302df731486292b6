/* See process.h. */
#include "proc/process.h"

#include "arch/mmu.h"
#include "arch/user.h"
#include "report/format.h"
#include "base/protect.h"
#include "base/string.h"
#include "mem/bump.h"
#include "mem/heap.h"
#include "mem/page.h"
#include "mem/pool.h"
#include "mem/window.h"
#include "proc/ipc.h"
#include "proc/sched.h"
#include "proc/spawn.h"
#include "report/report.h"

#define REGION_HEAP_BYTES (128 * KiB)

struct process *processes[MAX_PROCESSES];
struct heap region_heap;
static struct mem_pool process_pool;
static struct mem_pool process_threads;
static size_t kernel_stack;
size_t process_stack_high;

void process_init(size_t block, size_t stack)
{
	void *memory = kmem_alloc_aligned(REGION_HEAP_BYTES, HEAP_ALIGN);

	kernel_stack = stack;
	if (!pool_init(&process_pool, "processes", block, MAX_PROCESSES) ||
	    !pool_init(&process_threads, "process-threads", sizeof(struct thread), MAX_PROCESSES))
		panic("no-process-pools");
	if (!heap_init(&region_heap, memory, REGION_HEAP_BYTES))
		panic("no-region-heap");
	user_tables_init(protected(PROTECT_PAN));
	user_tables_on = true;
}

size_t process_block_bytes(void)
{
	return process_pool.block;
}

size_t process_kernel_stack_bytes(void)
{
	return kernel_stack;
}

struct process *process_reserve(void)
{
	return pool_alloc(&process_pool);
}

uint32_t process_pid_of(const struct process *block)
{
	return (uint32_t)(((uintptr_t)block - process_pool.base) / process_pool.block) + 1;
}

void process_prepare(struct process *p, uint32_t pid, const char *name, struct region *rows,
		     unsigned int capacity)
{
	memset(p, 0, sizeof(*p));
	p->pid = pid;
	p->parent = PARENT_NONE;
	string_copy(p->name, name, sizeof(p->name));
	p->regions_end = USER_REGIONS + pid * USER_REGION_SPAN;
	p->regions.capacity = capacity;
	p->regions.on_heap = !rows;
	if (rows)
		memset(rows, 0, capacity * sizeof(*rows));
}

static bool map_user_stack(struct process *p)
{
	const struct stack *pages = &p->user_stack_pages;

	for (uintptr_t va = pages->base; va < stack_top(pages); va += PAGE_SIZE)
		if (!space_map_borrowed(&p->space, va - p->user_stack.view,
					phys_to_virt(mmu_page_of(va)), SPACE_DATA))
			return false;
	if (protected(PROTECT_GUARD))
		return true;
	/* protect=-guard: memory where the guards should be. */
	return space_map_new(&p->space, p->user_stack.base - PAGE_SIZE, SPACE_DATA) &&
	       space_map_new(&p->space, stack_top(&p->user_stack), SPACE_DATA);
}

int32_t process_make_space(struct process *p)
{
	struct stack *pages = &p->user_stack_pages;

	if (!space_create(&p->space, p->pid))
		return ERROR_MEMORY;
	string_copy(pages->name, "user-pages", sizeof(pages->name));
	if (!window_stack_alloc(pages, USER_STACK_SIZE, PAGE_SIZE))
		return ERROR_MEMORY;
	stack_unregister(pages); /* it goes by the name and the address that EL0 knows */
	p->user_stack = (struct stack){ .base = USER_STACKS + p->pid * USER_STACK_SPAN,
					.size = USER_STACK_SIZE,
					.guard = PAGE_SIZE,
					.prepared = true };
	p->user_stack.view = pages->base - p->user_stack.base;
	return map_user_stack(p) ? 0 : ERROR_MEMORY;
}

/* On its own kernel stack, which system calls then use below this frame. */
static void process_main(void *argument)
{
	struct process *p = argument;

	p->user = (struct frame){ .elr = p->entry,
				  .sp = stack_top(&p->user_stack),
				  .spsr = SPSR_EL0T };
	p->user.x[0] = p->message.words[0];
	user_enter(&p->user);
}

int32_t process_start(struct process *p)
{
	char name[THREAD_NAME_MAX] = "";
	struct text text = text_in(name, sizeof(name));
	struct text full = text_in(p->user_stack.name, STACK_NAME_MAX);
	struct thread *t;

	if (!p->regions.on_heap)
		p->regions.rows = (struct region *)(p + 1);
	text_format(&text, "%s.%u", p->name, p->pid);
	t = thread_make_from(&process_threads, name, process_main, p, kernel_stack, PAGE_SIZE);
	if (!t)
		return ERROR_MEMORY;
	text_format(&full, "user:%s", name);
	stack_register(&p->user_stack);
	t->process = p;
	t->ttbr0 = space_ttbr0(&p->space);
	t->user_stack = &p->user_stack;
	p->thread = t;
	processes[p->pid - 1] = p;
	sched_ready(t);
	return 0;
}

static void note_watermark(const struct thread *t)
{
	size_t used = thread_stack_high_watermark_bytes(t);

	if (used > process_stack_high)
		process_stack_high = used;
}

/* The row in the table goes last: a process that is counted no more has given everything back. */
void process_release(struct process *p)
{
	if (p->thread) {
		note_watermark(p->thread);
		stack_unregister(&p->user_stack);
	}
	space_destroy(&p->space);
	if (p->user_stack_pages.size && p->user_stack.size)
		window_stack_free(&p->user_stack_pages);
	if (p->regions.on_heap && p->regions.rows)
		regions_free(p->regions.rows);
	if (p->thread) {
		thread_free(p->thread);
		processes[p->pid - 1] = NULL;
	}
}

void process_drop(struct process *p)
{
	process_release(p);
	pool_free(&process_pool, p);
}

struct process *process_find(uint32_t pid)
{
	return pid - 1 < MAX_PROCESSES ? processes[pid - 1] : NULL;
}

int64_t process_wait(uint32_t pid, const char **detector)
{
	struct process *p = process_find(pid);
	int64_t code;

	if (!p)
		return ERROR_HANDLE;
	thread_wait(p->thread);
	code = p->thread->state == THREAD_KILLED ? ERROR_KILLED : p->code;
	if (detector)
		*detector = p->thread->killed_by;
	process_drop(p);
	return code;
}

void process_exit(int64_t code)
{
	struct process *p = current()->process;

	p->code = code;
	thread_exit();
}

void process_ended(struct process *p)
{
	if (!p)
		return;
	for (int i = 0; i < MAX_PROCESSES; i++)
		if (processes[i] && processes[i]->parent == p->pid)
			processes[i]->parent = PARENT_NONE;
	ipc_notify(&init_endpoint);
}

static bool is_ended(const struct thread *t)
{
	return t->state == THREAD_EXITED || t->state == THREAD_KILLED;
}

unsigned int process_reap_orphans(void)
{
	unsigned int reaped = 0;

	for (int i = 0; i < MAX_PROCESSES; i++) {
		struct process *p = processes[i];

		if (p && p->parent == PARENT_NONE && is_ended(p->thread)) {
			process_drop(p);
			reaped++;
		}
	}
	return reaped;
}

int64_t process_add_handle(struct process *p, struct handle handle)
{
	for (int i = 0; i < MAX_HANDLES; i++) {
		if (p->handles[i].kind != HANDLE_FREE)
			continue;
		p->handles[i] = handle;
		return i;
	}
	return ERROR_SLOTS;
}

unsigned int process_count(void)
{
	unsigned int count = 0;

	for (int i = 0; i < MAX_PROCESSES; i++)
		count += processes[i] != NULL;
	return count;
}
