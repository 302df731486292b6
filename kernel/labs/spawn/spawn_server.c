/*
 * Spawn labs: the death of a server with one caller being served and two waiting. Each of the three is told,
 * who comes after is told at once, and the next server gives each its own answer.
 */
#include "base/stack_note.h"
#include "base/string.h"
#include "lab/lab.h"
#include "labs/lib/illegal.h"
#include "labs/lib/system.h"
#include "proc/fs.h"
#include "proc/initrd.h"
#include "proc/sched.h"
#include "proc/spawn.h"
#include "report/report.h"

STACK_CALLS("kernel/proc/fs.c:read", "let_two_wait die_by_*",
	    "fs_read_hook: spawn.server_dies sets it")

#define CALLERS 3
#define CALLER_STACK (4 * KiB)
#define PIECE 64 /* bytes, each caller its own */
#define YIELDS 1000
#define ANSWER_TICKS 50

static struct caller {
	struct thread *thread;
	struct message m;
	bool back;
} callers[CALLERS];

static const char *const ordinals[CALLERS] = { "first", "second", "third" };
static const struct thread *served; /* when the server died */
static unsigned int file;

static void call_server(void *argument)
{
	struct caller *c = argument;

	c->m = (struct message){ .kind = FS_READ,
				 .words = { file, (uint64_t)(c - callers) * PIECE, PIECE } };
	ipc_call_back(&fs_endpoint, &c->m);
	c->back = true;
}

static unsigned int waiting(void)
{
	unsigned int n = 0;

	for (const struct thread *t = fs_endpoint.first; t; t = t->ipc_next)
		n++;
	return n;
}

/* In the server, while it serves the first. */
static void let_two_wait(void)
{
	for (int i = 0; i < YIELDS && waiting() < CALLERS - 1; i++)
		thread_yield();
	if (waiting() < CALLERS - 1)
		panic("callers-did-not-wait");
	fs_read_hook = NULL;
}

static void die_by_fault(void)
{
	let_two_wait();
	served = current()->serving;
	write_null();
}

static void die_by_exit(void)
{
	let_two_wait();
	served = current()->serving;
	thread_exit();
}

static void call_from(struct caller *c)
{
	c->back = false;
	c->thread = thread_create("caller", call_server, c, CALLER_STACK);
	if (!c->thread)
		panic("no-caller");
}

static void call_from_all(void (*in_server)(void))
{
	fs_read_hook = in_server;
	for (int i = 0; i < CALLERS; i++) {
		callers[i].back = false;
		callers[i].thread = thread_create("caller", call_server, &callers[i], CALLER_STACK);
		if (!callers[i].thread)
			panic("no-caller");
	}
	thread_sleep(ANSWER_TICKS);
}

/* One that is left waiting would keep us, too. */
static bool all_came_back(void)
{
	bool all = true;

	for (int i = 0; i < CALLERS; i++) {
		if (callers[i].back)
			thread_join(callers[i].thread, NULL);
		all &= callers[i].back;
	}
	return all;
}

static const char *told(const struct caller *c)
{
	if (!c->back)
		return "nothing";
	return c->m.status == ERROR_DIED ? "died" : c->m.status ? "error" : "done";
}

static bool all_were_told(void)
{
	bool all = true;

	for (int i = 0; i < CALLERS; i++) {
		report("[spawn] caller name=%s was=%s told=%s", ordinals[i],
		       callers[i].thread == served ? "served" : "waiting", told(&callers[i]));
		all &= callers[i].back && callers[i].m.status == ERROR_DIED;
	}
	return all_came_back() && all;
}

static bool all_have_their_own(const char *data)
{
	bool all = true;

	for (int i = 0; i < CALLERS; i++) {
		const struct caller *c = &callers[i];
		bool own = c->back && !c->m.status && c->m.length == PIECE &&
			   memcmp(c->m.data, data + (size_t)i * PIECE, PIECE) == 0;

		report("[spawn] caller name=%s told=%s answer=%s", ordinals[i], told(c),
		       own ? "its-own" : "not-its-own");
		all &= own;
	}
	return all_came_back() && all;
}

/* After a death and before the next server nobody will come: who calls then is told at once. */
static bool late_is_told(void)
{
	struct caller *late = &callers[0];

	call_from(late);
	thread_sleep(ANSWER_TICKS);
	report("[spawn] caller name=late told=%s", told(late));
	if (late->back)
		thread_join(late->thread, NULL);
	return late->back && late->m.status == ERROR_DIED;
}

LAB_WORDS(dies_word, "fault", "exit")

#define SERVER_DIES_PARAMS(P)                                                                      \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(how, 0, 0, 1, "the server is killed for a fault, or ends by itself", .name = dies_word)

LAB(spawn, server_dies, "a server dies with one caller served and two waiting: all are told",
    SERVER_DIES_PARAMS)
{
	struct system_count before;
	struct cpio_file hello;
	int index;

	system_start(a->stack);
	index = initrd_find(&hello, "hello");
	if (index < 0)
		panic("no-hello");
	file = (unsigned int)index;
	before = system_counts();
	call_from_all(a->how ? die_by_exit : die_by_fault);
	if (!all_were_told() || !late_is_told())
		end("survived");
	if (!spawn_fs_server())
		panic("no-new-server");
	call_from_all(let_two_wait);
	if (!all_have_their_own(hello.data))
		end("survived");
	system_expect_census(&before);
	if (a->how)
		end("ok");
	end("contained by=null-page");
}
