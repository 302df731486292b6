/*
 * The words every file shares: fixed-width integers, sizes and a few macros.
 * Nothing here knows a register or the kernel.
 */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KiB 1024UL
#define MiB (1024UL * KiB)

#define PAGE_SIZE 4096UL

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(v, a) ((v) & ~((a)-1))
#define ALIGN_UP(v, a) ALIGN_DOWN((v) + (a)-1, a)
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* A load or store that the compiler must make exactly once, as another context reads or writes it. */
#define READ_ONCE(v) (*(const volatile __typeof__(v) *)&(v))
#define WRITE_ONCE(v, value) (*(volatile __typeof__(v) *)&(v) = (value))

/* One link-time symbol of kernel.ld: only its address means anything. */
#define LINKER_SYMBOL(name) extern char name[]

#endif
