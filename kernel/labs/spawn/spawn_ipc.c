/*
 * Spawn labs: a call chain across IPC. The fs server breaks while it serves init, which serves a process; the
 * backtrace goes from the server through init to the program at EL0 that asked for it all.
 */
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/illegal.h"
#include "labs/lib/system.h"
#include "proc/fs.h"
#include "proc/spawn.h"
#include "report/report.h"

STACK_CALLS("kernel/proc/fs.c:read", "fault_in_server", "fs_read_hook: only spawn.ipc_deep sets it")

/* Only where the whole chain stands: fs ← init ← a process. */
static void fault_in_server(void)
{
	const struct thread *init = current()->serving;

	if (init->serving && init->serving->process)
		write_null();
}

#define IPC_DEEP_PARAMS(P)                                                                         \
	SYSTEM_STACK_PARAM(P)                                                                      \
	P(depth, 3, 2, 16, "programs in each other; the last one's launch breaks the server")

LAB(spawn, ipc_deep, "the fs server breaks while it serves init, which serves a process",
    IPC_DEEP_PARAMS)
{
	struct system_count before;
	int64_t code;

	system_start(a->stack);
	before = system_counts();
	fs_read_hook = fault_in_server;
	code = system_run("spawner", a->depth, NULL);
	fs_read_hook = NULL;
	report("[spawn] exited program=spawner code=%ld", code);
	if (code != ERROR_DIED)
		end("survived");
	/* The next server takes the dead one's place, and all is as before. */
	if (!spawn_fs_server() || system_run("spawner", a->depth, NULL) != (int64_t)a->depth)
		panic("no-new-server");
	system_expect_census(&before);
	system_report_stacks();
	end("contained by=null-page");
}
