/* Whole words, quickly: pages, tables and stacks are full of them. Aligned; no word of any layer. */
#ifndef ARCH_WORDS_H
#define ARCH_WORDS_H

#include "arch/types.h"

#define WORDS_STEP 8 /* four pairs: what a loop itself takes is little beside that */

static inline void fill_words(void *from, const void *to, uint64_t word)
{
	uint64_t *w = from;
	const uint64_t *end = to;

	/* Opaque: the compiler would store a known word as two halves. */
	__asm__("" : "+r"(word));
	for (; end - w >= WORDS_STEP; w += WORDS_STEP) {
		w[0] = w[1] = w[2] = w[3] = word;
		w[4] = w[5] = w[6] = w[7] = word;
	}
	while (w < end)
		*w++ = word;
}

/* n bytes, a multiple of 8. */
static inline void copy_words(void *to, const void *from, size_t n)
{
	uint64_t *t = to;
	const uint64_t *f = from, *end = f + n / sizeof(*f);

	for (; end - f >= WORDS_STEP; f += WORDS_STEP, t += WORDS_STEP) {
		uint64_t a = f[0], b = f[1], c = f[2], d = f[3];
		uint64_t w = f[4], x = f[5], y = f[6], z = f[7];

		t[0] = a, t[1] = b, t[2] = c, t[3] = d;
		t[4] = w, t[5] = x, t[6] = y, t[7] = z;
	}
	while (f < end)
		*t++ = *f++;
}

#endif
