/*
 * What a random program is linked with: a painted stack, and a loop that runs entries on it.
 *
 * Standard input is a list of struct job; standard output gets one number for each: how many bytes
 * below the top of the stack the entry wrote, or minus the signal that ended it. An entry is
 * relative to the image's start, and the first job is the signal handler: no relocation here names
 * a function, as the report would count it among those that a computed call reaches. An entry may
 * end by __builtin_trap() instead of returning; that is how noreturn functions end.
 */

#define STACK_BYTES (1UL << 18)
#define PAINT 0xa5c3965a3c69e71dUL
#define JOBS 8192
#define SIGTRAP 5
#define SA_ONSTACK_NODEFER 0x48000000UL

struct job {
	unsigned long entry;
	long x;
};

struct action {
	void *handler;
	unsigned long flags, restorer, mask;
};

struct alternate {
	void *base;
	int flags;
	unsigned long size;
};

static unsigned long stack[STACK_BYTES / 8] __attribute__((aligned(4096)));
static unsigned long signal_stack[4096] __attribute__((aligned(4096)));
static struct job jobs[JOBS];
static long depths[JOBS];

volatile long sink;
unsigned long __stack_chk_guard = 0x0123456789abcd00UL;
unsigned long mailbox[4] __attribute__((aligned(16)));

long run_on(void *top, void *entry, long x);
void resume(long signal);
void caught(int signal);

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

void __stack_chk_fail(void)
{
	__builtin_trap();
}

void *memset(void *to, int value, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		((volatile unsigned char *)to)[i] = value;
	return to;
}

void *memcpy(void *to, const void *from, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
	return to;
}

void *memmove(void *to, const void *from, unsigned long n)
{
	if (to <= from)
		return memcpy(to, from, n);
	while (n--)
		((volatile unsigned char *)to)[n] = ((const unsigned char *)from)[n];
	return to;
}

/* The callee-saved registers are kept below the driver's SP, which before_run holds. */
__asm__(".bss\n"
	".p2align 3\n"
	"before_run: .quad 0\n"
	".text\n"
	".globl run_on, resume, _start\n"
	".type run_on, %function\n"
	"run_on:\n"
	"	hint #34\n"
	"	stp x29, x30, [sp, #-160]!\n"
	"	stp x19, x20, [sp, #16]\n"
	"	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n"
	"	stp x25, x26, [sp, #64]\n"
	"	stp x27, x28, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	adrp x9, before_run\n"
	"	add x9, x9, :lo12:before_run\n"
	"	mov x10, sp\n"
	"	str x10, [x9]\n"
	"	mov sp, x0\n"
	"	mov x0, x2\n"
	"	mov x29, #0\n"
	"	blr x1\n"
	"	mov x0, #0\n"
	"resume:\n"
	"	adrp x9, before_run\n"
	"	add x9, x9, :lo12:before_run\n"
	"	ldr x10, [x9]\n"
	"	mov sp, x10\n"
	"	ldp x19, x20, [sp, #16]\n"
	"	ldp x21, x22, [sp, #32]\n"
	"	ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]\n"
	"	ldp x27, x28, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	ldp x29, x30, [sp], #160\n"
	"	ret\n"
	".size run_on, . - run_on\n"
	".type _start, %function\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	bl start_c\n"
	"	brk #0x3e8\n"
	".size _start, . - _start\n");

/* setjmp() and longjmp(): what a call keeps, SP and the way back. */
__asm__(".text\n"
	".globl place_save, place_return\n"
	".type place_save, %function\n"
	"place_save:\n"
	"	hint #34\n"
	"	stp x19, x20, [x0]\n"
	"	stp x21, x22, [x0, #16]\n"
	"	stp x23, x24, [x0, #32]\n"
	"	stp x25, x26, [x0, #48]\n"
	"	stp x27, x28, [x0, #64]\n"
	"	stp x29, x30, [x0, #80]\n"
	"	mov x1, sp\n"
	"	str x1, [x0, #96]\n"
	"	mov w0, #0\n"
	"	ret\n"
	".size place_save, . - place_save\n"
	".type place_return, %function\n"
	"place_return:\n"
	"	hint #34\n"
	"	ldp x19, x20, [x0]\n"
	"	ldp x21, x22, [x0, #16]\n"
	"	ldp x23, x24, [x0, #32]\n"
	"	ldp x25, x26, [x0, #48]\n"
	"	ldp x27, x28, [x0, #64]\n"
	"	ldp x29, x30, [x0, #80]\n"
	"	ldr x1, [x0, #96]\n"
	"	mov sp, x1\n"
	"	mov w0, #1\n"
	"	ret\n"
	".size place_return, . - place_return\n");

static long call(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

void caught(int signal)
{
	resume(signal);
}

static void paint(unsigned long from)
{
	for (unsigned long i = from; i < STACK_BYTES / 8; i++)
		((volatile unsigned long *)stack)[i] = PAINT;
}

/* The first word that is written; eight are compared at a time. */
static unsigned long lowest(void)
{
	unsigned long i = 0, other = 0;

	for (; i < STACK_BYTES / 8 && !other; i += 8)
		for (int k = 0; k < 8; k++)
			other |= stack[i + k] ^ PAINT;
	i -= other ? 8 : 0;
	while (i < STACK_BYTES / 8 && stack[i] == PAINT)
		i++;
	return i;
}

static long bytes_below(unsigned long word)
{
	const unsigned char *paint_of = (const unsigned char *)&(unsigned long){ PAINT };
	const unsigned char *p = (const unsigned char *)&stack[word];
	long byte = 0;

	if (word == STACK_BYTES / 8)
		return 0;
	while (p[byte] == paint_of[byte])
		byte++;
	return STACK_BYTES - word * 8 - byte;
}

static long run(const struct job *job)
{
	void *entry = (void *)(__ehdr_start + job->entry);
	long signal = run_on(stack + STACK_BYTES / 8, entry, job->x);
	unsigned long word = lowest();
	long depth = bytes_below(word);

	paint(word);
	if (!word)
		return -11; /* all of the stack was used */
	return signal && signal != SIGTRAP ? -signal : depth;
}

#ifdef RELOCATE
extern const unsigned long _DYNAMIC[] __attribute__((visibility("hidden")));

/* A static PIE moves itself: R_AARCH64_RELATIVE is all that it has. */
static void relocate(void)
{
	unsigned long base = (unsigned long)__ehdr_start, table = 0, bytes = 0;

	for (const unsigned long *d = _DYNAMIC; *d; d += 2) {
		table = d[0] == 7 ? d[1] : table;
		bytes = d[0] == 8 ? d[1] : bytes;
	}
	for (unsigned long i = 0; i < bytes; i += 24) {
		const unsigned long *row = (const unsigned long *)(base + table + i);

		if ((row[1] & 0xffffffff) == 1027)
			*(unsigned long *)(base + row[0]) = base + row[2];
	}
}
#else
static void relocate(void)
{
}
#endif

static void catch_signals(void *handler)
{
	static const int signals[] = { 4, SIGTRAP, 7, 8, 11 };
	struct alternate alternate = { signal_stack, 0, sizeof(signal_stack) };
	struct action action = { handler, SA_ONSTACK_NODEFER, 0, 0 };

	call(132, (long)&alternate, 0, 0, 0);
	for (int i = 0; i < 5; i++)
		call(134, signals[i], (long)&action, 0, 8);
}

void start_c(void)
{
	long got, bytes = 0, n;

	relocate();
	while ((got = call(63, 0, (long)jobs + bytes, sizeof(jobs) - bytes, 0)) > 0)
		bytes += got;
	n = bytes / (long)sizeof(struct job);
	catch_signals((void *)(__ehdr_start + jobs[0].entry));
	paint(0);
	for (long i = 1; i < n; i++)
		depths[i] = run(&jobs[i]);
	call(64, 1, (long)(depths + 1), (n - 1) * 8, 0);
	call(93, 0, 0, 0, 0);
	__builtin_trap();
}
