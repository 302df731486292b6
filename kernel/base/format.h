/* printf into a buffer, with this kernel's %p letters. Pure but for the names it looks up. */
#ifndef CORE_FORMAT_H
#define CORE_FORMAT_H

#include <stdarg.h>

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

void text_put(struct text *t, char c);
/* The word after a separator (none before the first), if all of it fits; if not, false, and `cut`. */
bool text_word(struct text *t, const char *separator, const char *word);
void text_puts(struct text *t, const char *s);

/* See report() for the conversions. An unknown one is printed as it stands. */
void text_vformat(struct text *t, const char *format, va_list arguments);
__attribute__((format(printf, 2, 3))) void text_format(struct text *t, const char *format, ...);

#endif
