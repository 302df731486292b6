/* printf into a buffer, with this kernel's %p letters. Pure but for the names it looks up. */
#ifndef CORE_FORMAT_H
#define CORE_FORMAT_H

#include <stdarg.h>

#include "arch/types.h"

/* A bounded text under construction; what does not fit is cut, and `cut` says so. */
struct text {
	char *buffer;
	size_t size;
	size_t length;
	bool cut;
};

void text_put(struct text *t, char c);
void text_puts(struct text *t, const char *s);

/* See report() for the conversions. An unknown one is printed as it stands. */
void text_vformat(struct text *t, const char *format, va_list arguments);
__attribute__((format(printf, 2, 3))) void text_format(struct text *t, const char *format, ...);

#endif
