/* What <string.h> would give; freestanding, and GCC calls the mem* ones by itself. */
#ifndef BASE_STRING_H
#define BASE_STRING_H

#include "arch/types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/* Copy at most size - 1 characters, always end with NUL. */
void string_copy(char *to, const char *from, size_t size);

#endif
