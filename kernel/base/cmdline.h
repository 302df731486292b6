/*
 * The boot line, split and checked: `key=value` words, apart by blanks. Pure: no device, no allocation,
 * no report, so that it compiles for the host as well. lab/boot_line.c says which keys mean what.
 */
#ifndef BASE_CMDLINE_H
#define BASE_CMDLINE_H

#include "arch/types.h"

#define CMDLINE_MAX_BYTES 1024
#define CMDLINE_MAX_ITEMS 32

struct cmdline_item {
	const char *key;
	const char *value;
};

struct cmdline {
	char text[CMDLINE_MAX_BYTES + 1]; /* the words, each cut at its '=' and at its end */
	struct cmdline_item items[CMDLINE_MAX_ITEMS];
	size_t count;
	const char *bad; /* the word an error is about */
};

/*
 * Split `line` of length bytes. NULL, or what is wrong in one word: too-long, too-many-words,
 * bad-character, not-key-value, duplicate-key; c->bad is then the word it is about, up to the character
 * that cannot be printed.
 */
const char *cmdline_split(struct cmdline *c, const char *line, size_t length);

/* The value of key, or NULL. */
const char *cmdline_get(const struct cmdline *c, const char *key);

/* Decimal or 0x, with K, M or G behind it. False: not a number, or over 64 bits. */
bool cmdline_number(const char *text, uint64_t *value);

#endif
