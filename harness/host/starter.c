/*
 * QEMU's own start, paid for once: loaded into it by LD_PRELOAD, this stops it where main() would be
 * called, all its libraries linked, and clones it from there for every machine that is asked for. A
 * clone runs the whole of main() with arguments, environment, directory and descriptors of its own:
 * nothing of a machine is shared but the pages that the linker wrote. harness/qemu/fast/starter.py asks.
 *
 * A clone is a child of our parent, not of ours (CLONE_PARENT): it is waited for, killed and watched
 * there like any child, and the kernel kills it when our parent's thread ends (PR_SET_PDEATHSIG).
 *
 * What this cannot do it refuses, by ending before it has served anybody; then machines are started
 * the usual way.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SOCKET "HIGHWATER_STARTER"	 /* the descriptor of our socket */
#define PROGRAM "HIGHWATER_STARTER_PROG" /* the program that is meant; a script's shell is not */
#define MOST_FDS 16
#define MOST_WORDS 4096
#define REFUSED 125

/* What is asked for: this, then directory, arguments and environment, each ended by a zero byte. */
struct order {
	int32_t owner; /* our parent: a clone that has another one came too late */
	int32_t fds;
	int32_t targets[MOST_FDS]; /* the number that each descriptor sent along is to have */
	int32_t arguments;
	int32_t variables;
	int64_t file_bytes; /* RLIMIT_FSIZE */
};

static union {
	struct order order;
	char bytes[1 << 18];
} request;
static int fds[MOST_FDS];
static char *words[MOST_WORDS + 2];
static int *thread_id; /* where glibc keeps it; the kernel writes it for the clone */
static int asker = -1; /* the socket */
static bool cloned;

static void answer(pid_t pid)
{
	if (send(asker, &pid, sizeof(pid), MSG_NOSIGNAL) < 0)
		_exit(REFUSED);
}

static _Noreturn void refuse(const char *what)
{
	dprintf(STDERR_FILENO, "starter: %s: %s\n", what, strerror(errno));
	if (cloned)
		answer(getpid());
	_exit(REFUSED);
}

/* The bytes of the next order; 0 when nobody is there to ask any more. */
static size_t receive(void)
{
	char control[CMSG_SPACE(sizeof(fds))];
	struct iovec part = { request.bytes, sizeof(request.bytes) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	ssize_t size = recvmsg(asker, &message, 0);
	struct cmsghdr *sent = CMSG_FIRSTHDR(&message);

	if (size < 0 || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		refuse("an order that was not understood");
	if (sent)
		memcpy(fds, CMSG_DATA(sent), sent->cmsg_len - CMSG_LEN(0));
	return (size_t)size;
}

/* fork(2), but its parent is ours. The exit signal is ours, too: SIGCHLD. */
static pid_t clone_beside(void)
{
	struct clone_args how = {
		.flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
		.child_tid = (uintptr_t)thread_id,
	};

	return (pid_t)syscall(SYS_clone3, &how, sizeof(how));
}

static void limit_files(int64_t bytes)
{
	struct rlimit limits = { (rlim_t)bytes, (rlim_t)bytes };

	if (setrlimit(RLIMIT_FSIZE, &limits))
		refuse("setrlimit");
}

static int moved(int fd, int above)
{
	int away = fcntl(fd, F_DUPFD, above);

	if (away < 0)
		refuse("fcntl");
	close(fd);
	return away;
}

/* Each descriptor to its number: first all out of the way, then each into its place. */
static void place_fds(const struct order *order)
{
	int above = STDERR_FILENO + 1;

	for (int i = 0; i < order->fds; i++)
		above = order->targets[i] >= above ? order->targets[i] + 1 : above;
	asker = moved(asker, above);
	for (int i = 0; i < order->fds; i++)
		fds[i] = moved(fds[i], above);
	for (int i = 0; i < order->fds; i++) {
		if (dup2(fds[i], order->targets[i]) < 0)
			refuse("dup2");
		close(fds[i]);
	}
}

/* What ps shows: `count` words and the zero bytes between them, in the room of our own arguments. */
static void show(char *room, size_t size, char *const *shown, int count)
{
	size_t used = 0;

	memset(room, 0, size);
	for (int i = 0; i < count && used + strlen(shown[i]) + 1 < size; i++)
		used += (size_t)sprintf(room + used, "%s", shown[i]) + 1;
}

/* Become what was ordered. */
static void obey(const struct order *order, size_t size)
{
	const char *next = request.bytes + sizeof(*order), *end = request.bytes + size;
	const char *directory = next;
	int count = order->arguments + order->variables;

	place_fds(order);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != order->owner) {
		answer(getpid());
		_exit(REFUSED);
	}
	setsid();
	limit_files(order->file_bytes);
	if (chdir(directory))
		refuse(directory);
	if (count > MOST_WORDS)
		refuse("too many words");
	/* The arguments, NULL, the environment, NULL. */
	for (int i = 0; i < count && next < end; i++) {
		next += strlen(next) + 1;
		words[i + (i >= order->arguments)] = (char *)next;
	}
	environ = words + order->arguments + 1;
}

/* Serves until nobody asks; returns in each clone, which answers when it is what was ordered. */
static void serve(char *room, size_t size)
{
	for (;;) {
		size_t got = receive();
		pid_t clone;

		if (got < sizeof(request.order))
			_exit(0);
		clone = clone_beside();
		if (clone == 0) {
			cloned = true;
			obey(&request.order, got);
			show(room, size, words, request.order.arguments);
			answer(getpid());
			close(asker);
			return;
		}
		if (clone < 0)
			answer(-errno);
		for (int i = 0; i < request.order.fds; i++)
			close(fds[i]);
	}
}

/* Where the clone's thread id belongs, and that there is no other thread: it would not be cloned. */
static void look_around(void)
{
	struct stat threads;

	if (prctl(PR_GET_TID_ADDRESS, &thread_id) || !thread_id || *thread_id != getpid())
		refuse("PR_GET_TID_ADDRESS");
	if (stat("/proc/self/task", &threads) || threads.st_nlink != 3)
		refuse("more than one thread");
}

/* Is this the program that was meant, and not the shell of a script? */
static bool is_meant(void)
{
	char path[4096] = "";
	const char *meant = getenv(PROGRAM);

	return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 && meant &&
	       strcmp(path, meant) == 0;
}

typedef int main_function(int, char **, char **);
typedef int start_function(main_function *, int, char **, void (*)(void), void (*)(void),
			   void (*)(void), void *);

start_function __libc_start_main __attribute__((visibility("default")));

/* glibc's, which the program's first instructions call when the linker is done. */
int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*at_exit)(void), void *stack_end)
{
	start_function *real = (start_function *)dlsym(RTLD_NEXT, "__libc_start_main");
	const char *from = getenv(SOCKET);

	if (from) {
		char *room = argv[0];
		size_t size = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - room);
		char *waiting[] = { "highwater: QEMU, to be started" };

		if (!is_meant())
			_exit(REFUSED);
		look_around();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		show(room, size, waiting, 1);
		asker = (int)strtol(from, NULL, 10);
		serve(room, size);
		argc = request.order.arguments;
		argv = words;
	}
	return real(main, argc, argv, init, fini, at_exit, stack_end);
}
