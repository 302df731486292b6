/* See ipc.h. */
#include "proc/ipc.h"

#include "arch/words.h"
#include "base/string.h"
#include "proc/sched.h"
#include "proc/thread.h"
#include "report/inject.h"

/* All but the sender: who that is, no message says for itself. */
static void copy(struct message *to, const struct message *from)
{
	size_t data = from->length < MESSAGE_DATA_BYTES ? from->length : MESSAGE_DATA_BYTES;
	uint32_t sender = to->sender;

	copy_words(to, from, ALIGN_UP(offsetof(struct message, data) + data, 8UL));
	to->length = (uint32_t)data;
	to->sender = sender;
}

static void wake_server(struct endpoint *e)
{
	struct thread *server = e->server;

	e->server = NULL;
	if (server)
		sched_ready(server);
}

INJECT_SITE(ipc, send, ipc_call, ERROR_IO, "the message was not taken")

int32_t ipc_call(struct endpoint *e, struct message *m)
{
	if (inject(&ipc_send_site, m->length))
		return m->status = ERROR_IO;
	return ipc_call_back(e, m);
}

int32_t ipc_call_back(struct endpoint *e, struct message *m)
{
	uint64_t flags = irq_save();
	struct thread *t = current();

	if (e->dead) {
		irq_restore(flags);
		return m->status = ERROR_DIED;
	}
	t->message = m;
	t->ipc_next = NULL;
	if (e->first)
		e->last->ipc_next = t;
	else
		e->first = t;
	e->last = t;
	wake_server(e);
	thread_block();
	irq_restore(flags);
	return m->status;
}

bool ipc_receive(struct endpoint *e, struct message *m)
{
	uint64_t flags = irq_save();
	struct thread *caller;

	current()->endpoint = e;
	e->dead = false;
	while (!e->first && !e->notified) {
		e->server = current();
		thread_block();
	}
	caller = e->first;
	if (caller) {
		e->first = caller->ipc_next;
		m->sender = caller->message->sender;
		copy(m, caller->message);
		current()->serving = caller;
	} else {
		e->notified = false;
	}
	irq_restore(flags);
	return caller;
}

void ipc_answer(const struct message *m)
{
	uint64_t flags = irq_save();
	struct thread *caller = current()->serving;

	current()->serving = NULL;
	if (caller) {
		copy(caller->message, m);
		caller->message = NULL;
		sched_ready(caller);
	}
	irq_restore(flags);
}

void ipc_notify(struct endpoint *e)
{
	uint64_t flags = irq_save();

	e->notified = true;
	wake_server(e);
	irq_restore(flags);
}

static void fail(struct thread *caller)
{
	caller->message->status = ERROR_DIED;
	caller->message = NULL;
	sched_ready(caller);
}

void ipc_ended(struct thread *t)
{
	struct endpoint *e = t->endpoint;

	if (t->serving)
		fail(t->serving);
	t->serving = NULL;
	if (!e)
		return;
	e->dead = true;
	while (e->first) {
		struct thread *caller = e->first;

		e->first = caller->ipc_next;
		fail(caller);
	}
}
