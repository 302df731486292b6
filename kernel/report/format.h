/* printf into a buffer, with this kernel's %p letters. Pure but for the names it looks up. */
#ifndef REPORT_FORMAT_H
#define REPORT_FORMAT_H

#include <stdarg.h>

#include "base/text.h"

void text_put(struct text *t, char c);
/* The word after a separator (none before the first), if all of it fits; if not, false, and `cut`. */
bool text_word(struct text *t, const char *separator, const char *word);
void text_puts(struct text *t, const char *s);

/* See report() for the conversions. An unknown one is printed as it stands. */
void text_vformat(struct text *t, const char *format, va_list arguments);
__attribute__((format(printf, 2, 3))) void text_format(struct text *t, const char *format, ...);

#endif
