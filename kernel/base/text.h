/* A text that grows in a buffer of its own; report/format.h fills it. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "arch/types.h"

/*
 * A bounded text under construction; what does not fit is cut, and `cut` says so. It ends with NUL from the first
 * moment on, whatever was in the buffer before.
 */
struct text {
	char *buffer;
	size_t size; /* without the NUL */
	size_t length;
	bool cut;
};

/* A text in a buffer of `bytes`, at least one: the NUL is one of them. */
static inline struct text text_in(char *buffer, size_t bytes)
{
	buffer[0] = '\0';
	return (struct text){ .buffer = buffer, .size = bytes - 1 };
}

#endif
