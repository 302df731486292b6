/*
 * Synchronous IPC: a caller waits at an endpoint until a server has taken its message and answered it, in
 * the caller's own buffer. Nothing is queued but the callers themselves, and nothing is allocated. For
 * threads of CPU 0.
 */
#ifndef PROC_IPC_H
#define PROC_IPC_H

#include "base/current.h"
#include "proc/abi.h"

struct endpoint {
	const char *name;
	struct thread *server;	     /* waits for a caller; NULL: it is busy, or there is none */
	struct thread *first, *last; /* callers whose message nobody has taken yet */
	bool notified;
	bool dead; /* its server was killed, and no other has come */
};

/* Send *m and wait; *m is then the answer. Its status: 0, or what the server says, or ERROR_DIED. */
int32_t ipc_call(struct endpoint *e, struct message *m);

/* The same for what gives something back, which must not fail: no fault is injected here. */
int32_t ipc_call_back(struct endpoint *e, struct message *m);

/*
 * Wait for a message: true. The thread then serves its caller, until it answers. False: nobody called, but
 * ipc_notify() was. No kind of message says so, since a caller writes that itself.
 */
bool ipc_receive(struct endpoint *e, struct message *m);
void ipc_answer(const struct message *m);

/* Have ipc_receive() come back with false, now or when the server next waits. From any context. */
void ipc_notify(struct endpoint *e);

/* A thread ended, killed or by itself: whom it served, and whoever waits for that, gets ERROR_DIED. */
void ipc_ended(struct thread *t);

#endif
