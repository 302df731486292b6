/* See syscall.h; user_system_call and user_resume are report/upcall.h's. */
#include "proc/syscall.h"

#include "arch/user.h"
#include "arch/words.h"
#include "base/string.h"
#include "base/symbol.h"
#include "proc/elf.h"
#include "proc/initrd.h"
#include "proc/process.h"
#include "proc/sched.h"
#include "proc/spawn.h"
#include "proc/uaccess.h"
#include "report/report.h"
#include "report/upcall.h"
#include "report/where.h"

#define MAX_TEXT 80 /* of one SYS_WRITE */

int64_t (*syscall_dive_hook)(uint64_t bytes);

static int64_t sys_exit(__attribute__((unused)) struct process *p, uint64_t code,
			__attribute__((unused)) uint64_t unused)
{
	process_exit((int64_t)code);
}

static int64_t sys_write(struct process *p, uint64_t text, uint64_t bytes)
{
	char line[MAX_TEXT + 1];

	if (bytes > MAX_TEXT)
		return ERROR_NUMBER;
	if (!user_copy_in(p, line, text, bytes))
		return ERROR_POINTER;
	for (size_t i = 0; i < bytes; i++)
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	line[bytes] = '\0';
	report("[spawn] says pid=%u name=%s : %s", p->pid, p->name, line);
	return (int64_t)bytes;
}

/* A name from EL0, with its NUL. False: not readable, or too long. */
static bool copy_name(struct process *p, char *to, uintptr_t from)
{
	for (size_t n = 0; n < PROCESS_NAME_MAX; n++) {
		if (!user_copy_in(p, to + n, from + n, 1))
			return false;
		if (!to[n])
			return true;
	}
	return false;
}

static int64_t sys_spawn(struct process *p, uint64_t name, uint64_t argument)
{
	struct message *m = &p->message;
	struct handle child = { .kind = HANDLE_PROCESS };
	int64_t handle = process_add_handle(p, child);
	int32_t status;

	if (handle < 0)
		return handle;
	spawn_request(m, p->pid, "", argument);
	if (!copy_name(p, (char *)m->data, name)) {
		p->handles[handle].kind = HANDLE_FREE;
		return ERROR_POINTER;
	}
	m->length = (uint32_t)strlen((char *)m->data);
	status = ipc_call(&init_endpoint, m);
	if (!status)
		p->handles[handle].pid = (uint32_t)m->words[0];
	else if (spawn_forgets != FORGETS_HANDLE)
		p->handles[handle].kind = HANDLE_FREE;
	return status ? status : handle;
}

static struct handle *find_handle(struct process *p, uint64_t number, enum handle_kind kind)
{
	return number < MAX_HANDLES && p->handles[number].kind == kind ? &p->handles[number] : NULL;
}

static int64_t sys_wait(struct process *p, uint64_t number, __attribute__((unused)) uint64_t unused)
{
	struct handle *h = find_handle(p, number, HANDLE_PROCESS);
	uint32_t pid = h ? h->pid : 0;
	const struct process *child = process_find(pid);

	if (!child || child->parent != p->pid)
		return ERROR_HANDLE;
	h->kind = HANDLE_FREE;
	return process_wait(pid, NULL);
}

static int64_t sys_mmap(struct process *p, uint64_t bytes, __attribute__((unused)) uint64_t unused)
{
	return process_map(p, bytes);
}

static int64_t sys_unmap(struct process *p, uint64_t address,
			 __attribute__((unused)) uint64_t unused)
{
	return process_unmap(p, address);
}

static int64_t sys_call(struct process *p, uint64_t number, uint64_t message)
{
	const struct handle *h = find_handle(p, number, HANDLE_ENDPOINT);
	struct message *m = &p->message;
	int32_t status;

	if (!h)
		return ERROR_HANDLE;
	if (!user_copy_in(p, m, message, sizeof(*m)))
		return ERROR_POINTER;
	m->sender = p->pid;
	status = ipc_call(h->endpoint, m);
	return user_copy_out(p, message, m, sizeof(*m)) ? status : ERROR_POINTER;
}

static int64_t sys_dive(__attribute__((unused)) struct process *p, uint64_t bytes,
			__attribute__((unused)) uint64_t unused)
{
	return syscall_dive_hook ? syscall_dive_hook(bytes) : ERROR_NUMBER;
}

static int64_t (*const calls[NR_SYSCALLS])(struct process *p, uint64_t a, uint64_t b) = {
	[SYS_EXIT] = sys_exit, [SYS_WRITE] = sys_write, [SYS_SPAWN] = sys_spawn,
	[SYS_WAIT] = sys_wait, [SYS_MMAP] = sys_mmap,	[SYS_UNMAP] = sys_unmap,
	[SYS_CALL] = sys_call, [SYS_DIVE] = sys_dive,
};

void system_call(struct frame *user)
{
	struct process *p = current()->process;
	uint64_t number = user->x[8];
	int64_t result =
		number < NR_SYSCALLS ? calls[number](p, user->x[0], user->x[1]) : ERROR_NUMBER;

	user->x[0] = (uint64_t)result;
}

struct frame *user_system_call(struct frame *f)
{
	struct thread *t = current();
	struct frame *user = &t->process->user;
	struct frame *instead = sched_check(t);

	if (instead)
		return instead;
	copy_words(user, f, offsetof(struct frame, irq_stack_top));
	t->user = user;
	f->x[0] = (uint64_t)user;
	f->x[29] = (uint64_t)&user->record;
	f->x[30] = 0;
	f->elr = (uint64_t)syscall_start;
	f->sp = t->user_root; /* below the frame that EL0 was entered from */
	f->spsr = SPSR_EL1T | user_spsr_pan();
	return f;
}

struct frame *user_resume(struct frame *f, unsigned int what)
{
	struct thread *t = current();
	struct frame *instead = sched_check(t);

	if (instead)
		return instead;
	if (what == SVC_ENTER_USER) {
		t->user_root = f->x[29];
		t->user_entry = f->elr;
	}
	t->user = NULL;
	copy_words(f, &t->process->user, offsetof(struct frame, irq_stack_top));
	return f;
}

static struct process *subject(void)
{
	return where_subject ? where_subject->process : current()->process;
}

const void *user_view(uintptr_t va)
{
	struct process *p = subject();

	return p ? space_page(&p->space, va, false) : NULL;
}

bool user_symbol(uintptr_t va, struct symbol *found, const char **program)
{
	struct process *p = va < USER_END ? subject() : NULL;
	struct cpio_file file;
	struct elf_symbol s;

	if (!p || initrd_find(&file, p->name) < 0 || !elf_symbol(&s, file.data, file.size, va))
		return false;
	*found = (struct symbol){ s.name, s.address, s.size };
	*program = p->name;
	return true;
}
