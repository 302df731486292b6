/* What a program at EL0 has: system calls by name. See proc/abi.h for what they mean. */
#ifndef USER_USER_H
#define USER_USER_H

#include <stddef.h>
#include <stdint.h>

#include "proc/abi.h"

/* start.S calls it; what it returns is the exit code. */
int64_t program(uint64_t argument);

static inline int64_t system_call(enum syscall number, uint64_t a, uint64_t b)
{
	register uint64_t x8 __asm__("x8") = number;
	register uint64_t x0 __asm__("x0") = a;
	register uint64_t x1 __asm__("x1") = b;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x8) : "memory");
	return (int64_t)x0;
}

static inline void say(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	system_call(SYS_WRITE, (uintptr_t)text, n);
}

static inline int64_t spawn(const char *name, uint64_t argument)
{
	return system_call(SYS_SPAWN, (uintptr_t)name, argument);
}

static inline int64_t wait(int64_t handle)
{
	return system_call(SYS_WAIT, (uint64_t)handle, 0);
}

static inline int64_t call(int64_t handle, struct message *m)
{
	return system_call(SYS_CALL, (uint64_t)handle, (uintptr_t)m);
}

/* An address, or an error (negative). */
static inline int64_t map(size_t bytes)
{
	return system_call(SYS_MMAP, bytes, 0);
}

#endif
