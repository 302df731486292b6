/* Dies of what its argument says; the kernel must not. */
#include "user/user.h"

/* In the kernel's half, and never mapped for EL0. */
#define KERNEL_ADDRESS 0xffffff8040200000UL

/* enum crash of labs/spawn/spawn_labs.c. */
enum crash {
	CRASH_NULL,
	CRASH_OVERFLOW,
	CRASH_UNDEFINED,
	CRASH_KERNEL_READ,
	CRASH_KERNEL_ARGUMENT,
	CRASH_EXECUTE_DATA,
	CRASH_DIVE,
};

/* noinline, and a store behind what faults: each has a frame when it dies. */
static volatile uint64_t came_back;
#define ACT __attribute__((noinline)) static

ACT void read_null(void)
{
	uintptr_t nowhere = 0;

	__asm__("" : "+r"(nowhere)); /* so that no compiler and no linter knows */
	came_back = *(volatile uint32_t *)nowhere;
}

/* volatile: a frame a call, until there is no stack left. */
ACT uint64_t dive(uint64_t left)
{
	volatile uint64_t fill[8];

	for (int i = 0; i < 8; i++)
		fill[i] = left;
	return left ? dive(left - 1) + fill[0] : 0;
}

ACT void execute_undefined(void)
{
	__asm__ volatile("udf #0");
	came_back = 1;
}

ACT void read_kernel(void)
{
	came_back = *(volatile uint32_t *)KERNEL_ADDRESS;
}

ACT void execute_data(void)
{
	static volatile uint32_t code[] = { 0xd65f03c0 }; /* ret */
	void (*volatile there)(void) = (void (*)(void))(uintptr_t)code;

	there();
}

static int64_t crash(enum crash how, uint64_t amount)
{
	switch (how) {
	case CRASH_NULL:
		read_null();
		return 0;
	case CRASH_OVERFLOW:
		return (int64_t)dive(amount);
	case CRASH_UNDEFINED:
		execute_undefined();
		return 0;
	case CRASH_KERNEL_READ:
		read_kernel();
		return 0;
	case CRASH_KERNEL_ARGUMENT:
		return system_call(SYS_WRITE, KERNEL_ADDRESS, 4);
	case CRASH_EXECUTE_DATA:
		execute_data();
		return 0;
	case CRASH_DIVE:
		return system_call(SYS_DIVE, amount, 0);
	}
	return 0;
}

/* The low byte says how, the rest by how much. */
int64_t program(uint64_t argument)
{
	return crash((enum crash)(argument & 0xff), argument >> 8);
}
