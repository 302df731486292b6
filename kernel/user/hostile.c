/*
 * Asks for what it should not get. Its argument 0: each system call with each argument at its bounds and past
 * them, one record each with what came of it; it exits with DONE, or at the first wrong answer with WRONG. Any
 * other argument is a seed, and above it a number of calls: so many at random, and it exits with that number.
 */
#include <stdbool.h>

#include "user/user.h"

#define PAGE 4096UL
#define STACK_BYTES 0x4000UL
#define STACK_SPAN (16UL << 20)
#define REGION_SPAN (1UL << 30)
#define USER_END (1UL << 39)
#define KERNEL_ADDRESS 0xffffff8040200000UL /* mapped, and the kernel's own text */
#define MAX_TEXT 80
#define MAX_NAME 12 /* with its NUL */
#define MAX_HANDLES 32
#define HIGH_BIT (1UL << 32) /* lost where 64 bits are taken for 32 */
#define ALL (~0UL)

#define DONE 42
#define WRONG 1
#define CAME_OUT 2  /* by a number that is not SYS_EXIT's */
#define BROKEN -100 /* at random: an answer that is none, or memory of its own that changed */
#define HELLO_WAITS 0x100
#define SPAWNER_LEAVES 0x100
#define SPAWNER_RETRIES 0x200

/* enum init_request of proc/spawn.h. */
enum { INIT_LAUNCH, INIT_COUNT, INIT_NOTHING };

/* What labs/spawn/spawn_hostile.c does for it: at the gate, and in SYS_DIVE. */
enum { GATE_ECHOES, GATE_LIES };
enum { FORGE_CHILD, FORGE_LAST_REGION };
#define OTHERS_CODE 77

/* An answer that is not one number. */
#define AN_ADDRESS (1L << 62)

static const char *const errors[] = {
	[-ERROR_POINTER] = "pointer", [-ERROR_HANDLE] = "handle", [-ERROR_NUMBER] = "number",
	[-ERROR_MEMORY] = "memory",   [-ERROR_SLOTS] = "slots",	  [-ERROR_NO_FILE] = "no-file",
	[-ERROR_PROGRAM] = "program", [-ERROR_IO] = "io",	  [-ERROR_DIED] = "died",
	[-ERROR_KILLED] = "killed",
};

static const struct message constant = { .kind = INIT_COUNT };
static const char constant_text[MAX_NAME] = "nobody";

/* Two pages with nothing behind them, and a page that was one. */
static uintptr_t region, region_end, gone, stack;

/* --- records ----------------------------------------------------------------------------------- */

static char line[MAX_TEXT];
static size_t used;

static void add(const char *text)
{
	while (*text && used < sizeof(line))
		line[used++] = *text++;
}

static void add_number(uint64_t n)
{
	char digit[2] = { (char)('0' + n % 10), 0 };

	if (n >= 10)
		add_number(n / 10);
	add(digit);
}

static void add_answer(int64_t answer)
{
	if (answer < 0 && answer >= ERROR_KILLED) {
		add(errors[-answer]);
	} else if (answer >= (int64_t)PAGE) {
		add("an-address");
	} else {
		add(answer < 0 ? "-" : "");
		add_number((uint64_t)(answer < 0 ? -answer : answer));
	}
}

static void end_program(int64_t code)
{
	system_call(SYS_EXIT, (uint64_t)code, 0);
}

static bool is_right(int64_t expected, int64_t answer)
{
	if (expected == AN_ADDRESS)
		return answer >= (int64_t)PAGE && answer % PAGE == 0;
	return answer == expected;
}

/* "call argument=value gives answer", and no further if that is not what it should be. */
static void expect(int64_t expected, int64_t answer, const char *call, const char *value)
{
	bool right = is_right(expected, answer);

	used = 0;
	add(call);
	add(value);
	add(" gives ");
	add_answer(answer);
	if (!right) {
		add(", expected ");
		add_answer(expected);
	}
	system_call(SYS_WRITE, (uintptr_t)line, used);
	if (!right)
		end_program(WRONG);
}

/* The same without a word where it is right: in a loop. */
static void require(int64_t expected, int64_t answer, const char *call, const char *value)
{
	if (!is_right(expected, answer))
		expect(expected, answer, call, value);
}

/* --- where an argument may point ----------------------------------------------------------------- */

enum place {
	AT_END,	  /* its last byte is the last one mapped */
	OVER_END, /* all but its last byte is mapped */
	BEYOND,
	GONE,
	BELOW_STACK,
	ABOVE_STACK,
	OTHERS_STACK,
	CONSTANT,
	NOWHERE,
	OVER_USER,
	USER_LIMIT,
	NO_ADDRESS,
	KERNEL,
	OVER_ALL,
	NR_PLACES
};

static const char *const places[NR_PLACES] = {
	[AT_END] = "at-end",
	[OVER_END] = "over-end",
	[BEYOND] = "beyond-end",
	[GONE] = "unmapped-region",
	[BELOW_STACK] = "below-stack",
	[ABOVE_STACK] = "above-stack",
	[OTHERS_STACK] = "others-stack",
	[CONSTANT] = "read-only",
	[NOWHERE] = "null",
	[OVER_USER] = "over-user-end",
	[USER_LIMIT] = "region+user-end",
	[NO_ADDRESS] = "region+2^47",
	[KERNEL] = "kernel",
	[OVER_ALL] = "over-all",
};

/* An object of so many bytes there; what is CONSTANT is each call's own. */
static uintptr_t place(enum place where, size_t bytes)
{
	const uintptr_t at[NR_PLACES] = {
		[AT_END] = region_end - bytes,
		[OVER_END] = region_end - bytes + 1,
		[BEYOND] = region_end,
		[GONE] = gone,
		[BELOW_STACK] = stack - bytes,
		[ABOVE_STACK] = stack + STACK_BYTES,
		[OTHERS_STACK] = stack + STACK_SPAN,
		[OVER_USER] = USER_END - bytes + 1,
		/* To a walk that looks at the lower bits only, these are the region. */
		[USER_LIMIT] = USER_END + region,
		[NO_ADDRESS] = (1UL << 47) + region,
		[KERNEL] = KERNEL_ADDRESS,
		[OVER_ALL] = ALL - bytes + 2,
	};

	return at[where];
}

static void put(uintptr_t at, const void *object, size_t bytes)
{
	volatile char *to = (volatile char *)at;

	for (size_t i = 0; i < bytes && at + i < region_end; i++)
		to[i] = ((const char *)object)[i];
}

static void prepare(void)
{
	region = (uintptr_t)map(2 * PAGE);
	region_end = region + 2 * PAGE;
	gone = (uintptr_t)map(PAGE);
	system_call(SYS_UNMAP, gone, 0);
	stack = (uintptr_t)__builtin_frame_address(0) & ~(STACK_SPAN - 1);
}

/* --- each call, each argument ------------------------------------------------------------------ */

static int64_t write_at(enum place where)
{
	static const char text[] = "eight...";
	uintptr_t at = where == CONSTANT ? (uintptr_t)text : place(where, 8);

	if (where <= OVER_END)
		put(at, text, 8);
	return system_call(SYS_WRITE, at, 8);
}

static void try_write(void)
{
	for (enum place w = 0; w < NR_PLACES; w++)
		expect(w == AT_END || w == CONSTANT ? 8 : ERROR_POINTER, write_at(w),
		       "write text=", places[w]);
	for (size_t i = 0; i < MAX_TEXT; i++)
		((char *)region)[i] = '.';
	expect(0, system_call(SYS_WRITE, 0, 0), "write bytes=", "0");
	expect(80, system_call(SYS_WRITE, region, 80), "write bytes=", "80");
	expect(ERROR_NUMBER, system_call(SYS_WRITE, region, 81), "write bytes=", "81");
	expect(ERROR_NUMBER, system_call(SYS_WRITE, region, HIGH_BIT | 8),
	       "write bytes=", "2^32+8");
	expect(ERROR_NUMBER, system_call(SYS_WRITE, region, ALL), "write bytes=", "all");
}

static int64_t spawn_at(enum place where)
{
	uintptr_t at = place(where, sizeof("nobody"));

	if (where == CONSTANT)
		at = (uintptr_t)constant_text;
	if (where <= OVER_END)
		put(at, "nobody", sizeof("nobody"));
	return system_call(SYS_SPAWN, at, 0);
}

static int64_t spawn_named(size_t letters)
{
	char name[MAX_NAME + 1];

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i < letters ? 'n' : 0;
	return spawn(name, 0);
}

static void try_spawn(void)
{
	for (enum place w = 0; w < NR_PLACES; w++)
		expect(w == AT_END || w == CONSTANT ? ERROR_NO_FILE : ERROR_POINTER, spawn_at(w),
		       "spawn name=", places[w]);
	expect(ERROR_NO_FILE, spawn_named(0), "spawn letters=", "0");
	expect(ERROR_NO_FILE, spawn_named(MAX_NAME - 1), "spawn letters=", "11");
	expect(ERROR_POINTER, spawn_named(MAX_NAME), "spawn letters=", "12");
	expect(NR_BOOT_HANDLES, spawn("hello", ALL), "spawn argument=", "all");
	expect((int64_t)(ALL & ~(uint64_t)HELLO_WAITS), wait(NR_BOOT_HANDLES),
	       "wait argument=", "all");
}

/* The last handle there is; one more is refused, and not given to the next either. */
static void try_full(void)
{
	for (int64_t h = NR_BOOT_HANDLES; h < MAX_HANDLES; h++)
		require(h, spawn("hello", (uint64_t)h | HELLO_WAITS),
			"spawn handles=", "one-by-one");
	expect(ERROR_SLOTS, spawn("hello", 0), "spawn handles=", "all-taken");
	expect(ERROR_HANDLE, wait(MAX_HANDLES), "wait handle=", "32");
	expect(ERROR_HANDLE, wait(HIGH_BIT | (MAX_HANDLES - 1)), "wait handle=", "2^32+31");
	for (int64_t h = MAX_HANDLES - 1; h > NR_BOOT_HANDLES; h--)
		require(h, wait(h), "wait handle=", "one-by-one");
	expect(NR_BOOT_HANDLES, wait(NR_BOOT_HANDLES), "wait handle=", "2");
	expect(ERROR_HANDLE, wait(NR_BOOT_HANDLES), "wait handle=", "2-again");
}

static void try_wait(void)
{
	int64_t others;

	expect(ERROR_HANDLE, wait(HANDLE_INIT), "wait handle=", "init");
	expect(ERROR_HANDLE, wait(HANDLE_GATE), "wait handle=", "gate");
	expect(ERROR_HANDLE, wait(NR_BOOT_HANDLES), "wait handle=", "free");
	expect(ERROR_HANDLE, wait(MAX_HANDLES - 1), "wait handle=", "31-free");
	expect(ERROR_HANDLE, wait(MAX_HANDLES), "wait handle=", "32-free");
	expect(ERROR_HANDLE, wait(-1), "wait handle=", "all");
	expect(ERROR_HANDLE, wait((int64_t)1 << 63), "wait handle=", "2^63");
	others = system_call(SYS_DIVE, FORGE_CHILD, 0);
	expect(NR_BOOT_HANDLES, others, "forge handle=", "anothers-child");
	expect(ERROR_HANDLE, wait(others), "wait handle=", "anothers-child");
}

static void try_map(void)
{
	int64_t at;

	expect(ERROR_NUMBER, map(0), "mmap bytes=", "0");
	expect(ERROR_NUMBER, map(REGION_SPAN + 1), "mmap bytes=", "2^30+1");
	expect(ERROR_NUMBER, map(ALL), "mmap bytes=", "all");
	expect(ERROR_NUMBER, map(ALL - PAGE + 2), "mmap bytes=", "2^64-4095");
	expect(ERROR_NUMBER, map(1UL << 63), "mmap bytes=", "2^63");
	at = map(1);
	expect(AN_ADDRESS, at, "mmap bytes=", "1");
	((volatile char *)at)[PAGE - 1] = 1;
	expect(0, system_call(SYS_UNMAP, (uint64_t)at, 0), "unmap address=", "its-page");
	at = map(PAGE + 1);
	expect(AN_ADDRESS, at, "mmap bytes=", "4097");
	((volatile char *)at)[2 * PAGE - 1] = 1;
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, (uint64_t)at + PAGE, 0),
	       "unmap address=", "page-2");
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, (uint64_t)at + 1, 0),
	       "unmap address=", "byte-2");
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, (uint64_t)at - 1, 0),
	       "unmap address=", "before");
	expect(0, system_call(SYS_UNMAP, (uint64_t)at, 0), "unmap address=", "its-pages");
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, (uint64_t)at, 0), "unmap address=", "again");
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, 0, 0), "unmap address=", "null");
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, stack, 0), "unmap address=", "stack");
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, (uintptr_t)&constant, 0),
	       "unmap address=", "read-only");
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, KERNEL_ADDRESS, 0), "unmap address=", "kernel");
	expect(ERROR_NUMBER, system_call(SYS_UNMAP, ALL, 0), "unmap address=", "all");
	at = map(1);
	expect(2, (map(1) - at) / (int64_t)PAGE, "mmap pages-from-the-last=", "2");
	/* More than there is: what it had got by then is back. */
	expect(ERROR_MEMORY, map(REGION_SPAN / 2), "mmap bytes=", "2^29");
	expect(AN_ADDRESS, map(64 * PAGE), "mmap bytes=", "2^18");
}

/* The end of the addresses that a process has for regions. */
static void try_last_region(void)
{
	system_call(SYS_DIVE, FORGE_LAST_REGION, 0);
	expect(ERROR_NUMBER, map(2 * PAGE + 1), "mmap left=2-pages bytes=", "8193");
	expect(AN_ADDRESS, map(2 * PAGE), "mmap left=2-pages bytes=", "8192");
	expect(ERROR_NUMBER, map(1), "mmap left=nothing bytes=", "1");
}

static int64_t call_at(enum place where)
{
	uintptr_t at = where == CONSTANT ? (uintptr_t)&constant : place(where, sizeof(constant));

	if (where <= OVER_END)
		put(at, &constant, sizeof(constant));
	return system_call(SYS_CALL, HANDLE_INIT, at);
}

/* What the server saw of the message. */
static int64_t at_gate(uint32_t kind, uint32_t length, uint32_t sender, int word)
{
	static struct message m;

	m = (struct message){ .kind = kind, .length = length, .sender = sender };
	return call(HANDLE_GATE, &m) ? ERROR_DIED : word < 0 ? m.length : (int64_t)m.words[word];
}

static int64_t call_kind(uint32_t kind)
{
	struct message m = { .kind = kind };

	return call(HANDLE_INIT, &m);
}

/* Of a name in a message, the length is what counts; and it lies. */
static int64_t launch_named(uint32_t length)
{
	static struct message m;

	m = (struct message){ .kind = INIT_LAUNCH, .length = length, .data = "hello" };
	return call(HANDLE_INIT, &m);
}

static void try_call(void)
{
	static struct message m = { .kind = INIT_COUNT };
	int64_t child = spawn("hello", 0);

	for (enum place w = 0; w < NR_PLACES; w++)
		expect(w == AT_END ? 0 : ERROR_POINTER, call_at(w), "call message=", places[w]);
	expect(ERROR_HANDLE, call(child, &m), "call handle=", "a-child");
	expect(0, wait(child), "wait handle=", "a-child");
	expect(ERROR_HANDLE, call(child, &m), "call handle=", "free");
	expect(ERROR_HANDLE, call(MAX_HANDLES, &m), "call handle=", "32");
	expect(ERROR_HANDLE, call((int64_t)HIGH_BIT, &m), "call handle=", "2^32");
	expect(ERROR_HANDLE, call(-1, &m), "call handle=", "all");
	expect(0, call_kind(INIT_COUNT), "call kind=", "count");
	expect(ERROR_NUMBER, call_kind(INIT_NOTHING), "call kind=", "2");
	expect(ERROR_NUMBER, call_kind(0xffffffff), "call kind=", "all");
	expect(ERROR_NO_FILE, launch_named(4), "call launch=hello length=", "4");
	expect(0, launch_named(5), "call launch=hello length=", "5");
	expect(0, launch_named(0xffffffff), "call launch=hello length=", "all");
}

static void try_gate(void)
{
	expect(0, at_gate(GATE_ECHOES, 0, 0, 0), "call length=0 ", "taken");
	expect(1024, at_gate(GATE_ECHOES, 1024, 0, 0), "call length=1024 ", "taken");
	expect(1024, at_gate(GATE_ECHOES, 1025, 0, 0), "call length=1025 ", "taken");
	expect(1024, at_gate(GATE_ECHOES, 0xffffffff, 0, 0), "call length=all ", "taken");
	expect(1024, at_gate(GATE_LIES, 8, 0, -1), "call answer=all ", "taken");
	expect(1, at_gate(GATE_ECHOES, 8, 0xdead, 1), "call sender=forged ", "own-at-gate");
	expect(1, at_gate(GATE_ECHOES, 8, 0, 1), "call sender=kernel ", "own-at-gate");
}

#define SVC(n)                                                                                     \
	static int64_t svc_##n(void)                                                               \
	{                                                                                          \
		register uint64_t x8 __asm__("x8") = NR_SYSCALLS;                                  \
		register uint64_t x0 __asm__("x0") = 0;                                            \
                                                                                                   \
		__asm__ volatile("svc #" #n : "+r"(x0) : "r"(x8) : "memory");                      \
		return (int64_t)x0;                                                                \
	}
SVC(1)
SVC(2)
SVC(3)
SVC(4)
SVC(65535)

/* All of x8, beyond what an enum has. */
static int64_t numbered(uint64_t number)
{
	register uint64_t x8 __asm__("x8") = number;
	register uint64_t x0 __asm__("x0") = CAME_OUT;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8) : "memory", "x1");
	return (int64_t)x0;
}

/* What EL1 says to itself by other immediates is nothing that EL0 can say. */
static void try_numbers(void)
{
	expect(ERROR_NUMBER, numbered(NR_SYSCALLS), "number=", "last+1");
	expect(ERROR_NUMBER, numbered(HIGH_BIT), "number=", "2^32");
	expect(ERROR_NUMBER, numbered(HIGH_BIT | SYS_WAIT), "number=", "2^32+3");
	expect(ERROR_NUMBER, numbered(1UL << 63), "number=", "2^63");
	expect(ERROR_NUMBER, numbered(ALL), "number=", "all");
	expect(ERROR_NUMBER, svc_1(), "svc immediate=", "1");
	expect(ERROR_NUMBER, svc_2(), "svc immediate=", "2");
	expect(ERROR_NUMBER, svc_3(), "svc immediate=", "3");
	expect(ERROR_NUMBER, svc_4(), "svc immediate=", "4");
	expect(ERROR_NUMBER, svc_65535(), "svc immediate=", "65535");
	expect(ERROR_NUMBER, system_call(SYS_DIVE, ALL, 0), "dive bytes=", "all");
}

static int64_t try_each(void)
{
	try_write();
	try_spawn();
	try_full();
	try_wait();
	try_map();
	try_gate();
	try_call();
	try_numbers();
	try_last_region();
	return DONE;
}

/* --- at random ------------------------------------------------------------------------------------ */

static uint64_t state;

/* xorshift64*: which calls there are depends on the seed alone. */
static uint64_t random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dUL;
}

static uint64_t below(uint64_t n)
{
	return (random() >> 16) % n;
}

static const uint64_t numbers[] = {
	0,
	1,
	2,
	3,
	7,
	8,
	31,
	32,
	33,
	1023,
	1024,
	1025,
	PAGE - 1,
	PAGE,
	PAGE + 1,
	16 * PAGE,
	ALL,
	1UL << 31,
	HIGH_BIT,
	HIGH_BIT | 2,
	USER_END,
	1UL << 63,
	REGION_SPAN + 1,
	ALL - PAGE + 2,
};

static uint64_t any_number(void)
{
	uint64_t n = below(sizeof(numbers) / sizeof(numbers[0]) + 2);

	return n < sizeof(numbers) / sizeof(numbers[0]) ? numbers[n] : random();
}

#define MAPPED 16
static uintptr_t mapped[MAPPED];

/* Mostly bad ones; never one with memory of the program itself but the regions. */
static uintptr_t any_pointer(size_t bytes)
{
	uint64_t n = below(NR_PLACES + 4);

	if (n < NR_PLACES)
		return n == CONSTANT ? (uintptr_t)&constant : place((enum place)n, bytes);
	return n == NR_PLACES ? random()
			      : mapped[below(MAPPED)] + below(2) * (PAGE - bytes + below(2));
}

static int64_t random_spawn(void)
{
	static const uint64_t arguments[] = { 1, 2, SPAWNER_LEAVES, SPAWNER_RETRIES };

	if (below(3))
		return below(2) ? spawn("hello", below(0x100) | HELLO_WAITS) /* it says no hello */
				: spawn("spawner", arguments[below(4)]);
	return system_call(SYS_SPAWN, any_pointer(8), any_number());
}

static int64_t random_map(void)
{
	uint64_t bytes = any_number();
	int64_t at = map(bytes & 1UL << 30 ? 1UL << 20 : bytes); /* not all of RAM each time */

	if (at > 0)
		mapped[below(MAPPED)] = (uintptr_t)at;
	return at;
}

static int64_t random_call(void)
{
	static struct message m;
	uint64_t handle = below(4) ? below(3) : any_number();

	if (!below(3))
		return system_call(SYS_CALL, handle, any_pointer(sizeof(m)));
	m = (struct message){ .kind = (uint32_t)(below(4) ? below(3) : any_number()),
			      .length = (uint32_t)any_number(),
			      .sender = (uint32_t)any_number(),
			      .words = { HELLO_WAITS },
			      .data = "hello" };
	return system_call(SYS_CALL, handle, (uintptr_t)&m);
}

/* Writes that are done make records: few. */
static int64_t random_write(void)
{
	return system_call(SYS_WRITE, any_pointer(8),
			   below(8) ? MAX_TEXT + 1 + random() : below(9));
}

static int64_t random_number(void)
{
	return numbered(NR_SYSCALLS + (random() >> below(63)) % (ALL - NR_SYSCALLS));
}

static int64_t one_at_random(void)
{
	switch (below(8)) {
	case 0:
		return random_write();
	case 1:
		return random_spawn();
	case 2:
		return wait((int64_t)(below(8) ? below(MAX_HANDLES + 2) : any_number()));
	case 3:
		return random_map();
	case 4:
		return system_call(SYS_UNMAP, below(2) ? mapped[below(MAPPED)] : any_pointer(1), 0);
	case 5:
		return system_call(SYS_DIVE, 2 + any_number() % (ALL - 2), 0);
	case 6:
		return random_number();
	default:
		return random_call();
	}
}

#define OWN_WORDS 64
static uint64_t own[OWN_WORDS];

/* Memory that it points the kernel at nowhere. */
static bool own_is_whole(void)
{
	for (uint64_t i = 0; i < OWN_WORDS; i++)
		if (((volatile uint64_t *)own)[i] != ~i)
			return false;
	return true;
}

static int64_t try_random(uint64_t seed, uint64_t calls)
{
	state = seed;
	for (uint64_t i = 0; i < OWN_WORDS; i++)
		own[i] = ~i;
	for (uint64_t i = 0; i < calls; i++) {
		one_at_random();
		if (!own_is_whole())
			return BROKEN;
	}
	return (int64_t)calls;
}

int64_t program(uint64_t argument)
{
	prepare();
	return argument ? try_random(argument & 0xffffffff, argument >> 32) : try_each();
}
