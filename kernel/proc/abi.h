/*
 * What EL0 and EL1 agree on: system calls (number in x8, arguments from x0 on, result in x0, negative: an
 * error), and the message of IPC. The one header that kernel/user shares with the kernel.
 */
#ifndef PROC_ABI_H
#define PROC_ABI_H

#include <stdint.h>

enum syscall {
	SYS_EXIT,  /* (code): does not return */
	SYS_WRITE, /* (text, bytes) → bytes: one record */
	SYS_SPAWN, /* (name, argument) → handle of the child */
	SYS_WAIT,  /* (handle) → its exit code; ERROR_KILLED. The handle is gone then */
	SYS_MMAP,  /* (bytes) → address of whole pages, zero */
	SYS_UNMAP, /* (address) → 0: the region that begins there */
	SYS_CALL, /* (handle, message) → status: send, and wait for the answer in the same message */
	SYS_DIVE, /* (bytes) → what the lab does with them, on the kernel stack */
	NR_SYSCALLS,
};

enum error {
	ERROR_POINTER = -1, /* what was pointed at is not the caller's */
	ERROR_HANDLE = -2,
	ERROR_NUMBER = -3, /* no such system call, or no such number in it */
	ERROR_MEMORY = -4,
	ERROR_SLOTS = -5, /* of processes, handles or regions */
	ERROR_NO_FILE = -6,
	ERROR_PROGRAM = -7, /* the loader refused it */
	ERROR_IO = -8,
	ERROR_DIED = -9, /* the server did, before it answered */
	ERROR_KILLED = -10,
};

/* Handles that every process begins with. */
enum { HANDLE_INIT, HANDLE_GATE, NR_BOOT_HANDLES };

#define MESSAGE_DATA_BYTES 1024
#define MESSAGE_WORDS 5

struct message {
	uint32_t kind;
	int32_t status;	 /* of an answer: 0, or enum error */
	uint32_t length; /* bytes of data in use: only those are copied */
	uint32_t sender; /* pid, 0: the kernel; filled in by whoever delivers it */
	uint64_t words[MESSAGE_WORDS];
	uint8_t data[MESSAGE_DATA_BYTES];
};

#endif
