/* See system.h. */
#include "labs/lib/system.h"

#include "base/string.h"
#include "labs/lib/leak.h"
#include "mem/heap.h"
#include "mem/page.h"
#include "proc/fs.h"
#include "proc/spawn.h"
#include "report/report.h"

#define ROUNDS 2

void system_start_chain(size_t block, size_t stack, void (*init)(void *))
{
	static bool started;

	if (started)
		return;
	started = true;
	process_init(block, stack);
	spawn_services(init, stack);
	/* Both servers wait at their endpoints before anything is counted. */
	while (!fs_endpoint.server || !init_endpoint.server)
		thread_yield();
}

void system_start(size_t stack)
{
	system_start_chain(sizeof(struct process), stack, init_server);
}

int64_t system_launch(const char *name, uint64_t argument)
{
	static struct message m;
	int32_t status;

	spawn_request(&m, PARENT_KERNEL, name, argument);
	status = ipc_call(&init_endpoint, &m);
	return status ? status : (int64_t)m.words[0];
}

int64_t system_run(const char *name, uint64_t argument, const char **detector)
{
	int64_t pid = system_launch(name, argument);

	if (pid < 0)
		end("panic why=launch-refused status=%ld : %s", pid, name);
	return process_wait((uint32_t)pid, detector);
}

static size_t messages_on_the_way(void)
{
	size_t count = 0;

	for (const struct thread *t = all_threads; t; t = t->all_next)
		count += t->message != NULL;
	return count;
}

struct system_count system_counts(void)
{
	struct heap_census heap = heap_census(&region_heap);

	return (struct system_count){
		.pages = page_count().in_use,
		.processes = process_count(),
		.open_files = fs_open_files,
		.heap = heap.total_free,
		.messages = messages_on_the_way(),
	};
}

static const char *back(bool is_back)
{
	return is_back ? "back" : "lost";
}

void system_expect_census(const struct system_count *before)
{
	struct system_count now = system_counts();
	report("[spawn] census pages=%s processes=%s files=%s heap=%s messages=%s",
	       back(now.pages == before->pages), back(now.processes == before->processes),
	       back(now.open_files == before->open_files), back(now.heap == before->heap),
	       back(now.messages == before->messages));
	leak_check(now.pages != before->pages, "pages");
	leak_check(now.processes != before->processes, "processes");
	leak_check(now.open_files != before->open_files, "files");
	leak_check(now.heap != before->heap, "heap");
	leak_check(now.messages != before->messages, "messages");
}

static const struct thread *find_thread(const char *name)
{
	for (const struct thread *t = all_threads; t; t = t->all_next)
		if (strcmp(t->name, name) == 0)
			return t;
	panic("no-such-thread");
}

void system_report_stacks(void)
{
	size_t init = thread_stack_high_watermark_bytes(find_thread("init"));
	size_t used = init > process_stack_high ? init : process_stack_high;
	size_t size = process_kernel_stack_bytes();

	report("[spawn] stacks size=%lu used=%lu margin=%lu init=%lu", size, process_stack_high,
	       size - used, init);
	if (size - used < size / 4)
		panic("kernel-stacks-too-tight");
}

void system_expect_exit(const char *name, uint64_t argument, int64_t expected)
{
	struct system_count before = system_counts();

	for (int round = 1; round <= ROUNDS; round++) {
		int64_t code = system_run(name, argument, NULL);

		report("[spawn] exited program=%s code=%ld", name, code);
		if (code != expected)
			panic("wrong-exit-code");
		system_expect_census(&before);
	}
	system_report_stacks();
}

struct ending system_kill(const char *name, uint64_t argument)
{
	struct system_count before = system_counts();
	const char *detector = NULL;

	for (int round = 1; round <= ROUNDS; round++) {
		int64_t code = system_run(name, argument, &detector);

		if (code == ERROR_POINTER)
			return (struct ending){ "caught", "useraccess" };
		if (code != ERROR_KILLED)
			end("survived");
		system_expect_census(&before);
		if (system_run("hello", 0, NULL))
			panic("hello-broken");
	}
	return (struct ending){ "contained", detector };
}

void system_expect_killed(const char *name, uint64_t argument)
{
	struct ending e = system_kill(name, argument);

	system_report_stacks();
	end("%s by=%s", e.word, e.detector);
}
