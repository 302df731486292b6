/* printf into a buffer. See format.h. */
#include "report/format.h"

#include "report/where.h"

void text_put(struct text *t, char c)
{
	if (t->length < t->size)
		t->buffer[t->length++] = c;
	else
		t->cut = true;
}

void text_puts(struct text *t, const char *s)
{
	while (*s)
		text_put(t, *s++);
}

bool text_word(struct text *t, const char *separator, const char *word)
{
	size_t before = t->length;

	text_puts(t, before ? separator : "");
	text_puts(t, word);
	if (t->cut)
		t->length = before;
	t->buffer[t->length] = '\0';
	return !t->cut;
}

static void put_number(struct text *t, uint64_t value, unsigned int base, int width, char pad)
{
	char digits[20];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > n; width--)
		text_put(t, pad);
	while (n)
		text_put(t, digits[--n]);
}

static void put_signed(struct text *t, int64_t value, int width, char pad)
{
	if (value < 0)
		text_put(t, '-');
	put_number(t, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width, pad);
}

static void put_pointer(struct text *t, char letter, uintptr_t address)
{
	if (letter == 'S')
		where_code(t, address, false);
	else if (letter == 'R')
		where_code(t, address, true);
	else
		where_any(t, address);
}

void text_vformat(struct text *t, const char *format, va_list arguments)
{
	for (; *format; format++) {
		bool is_long = false;
		uint64_t value;
		char pad = ' ';
		int width = 0;

		if (*format != '%' || *++format == '%') {
			text_put(t, *format);
			continue;
		}
		if (*format == '0')
			pad = *format++;
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + *format - '0';
		for (; *format == 'l' || *format == 'z'; format++)
			is_long = true;
		/* Every argument has 8 bytes (AAPCS64), above an int anything: it is fetched in one place. */
		value = va_arg(arguments, uint64_t);
		switch (*format) {
		case 's':
			text_puts(t, (const char *)value);
			break;
		case 'c':
			text_put(t, (char)value);
			break;
		case 'd':
			put_signed(t, is_long ? (int64_t)value : (int)value, width, pad);
			break;
		case 'u':
		case 'x':
			put_number(t, is_long ? value : (uint32_t)value, *format == 'x' ? 16 : 10,
				   width, pad);
			break;
		case 'p':
			put_pointer(t, *++format, value);
			break;
		default:
			text_put(t, *format);
			break;
		}
	}
	t->buffer[t->length] = '\0';
}

void text_format(struct text *t, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_vformat(t, format, arguments);
	va_end(arguments);
}
