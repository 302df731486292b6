/*
 * What the fuzzers share. Each fuzz_<name>.c is one program: it includes one .c file of the kernel as
 * it stands, runs it on libFuzzer's bytes, and holds it against a model that is too simple to be wrong.
 * Memory that the kernel's code may touch comes from malloc at its exact size, so that AddressSanitizer
 * sees the first byte beyond. host.c has the stand-ins for the rest of the kernel.
 */
#ifndef HOST_H
#define HOST_H

#include "arch/types.h"

/* libFuzzer calls this with each input; 0 keeps it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of the code under test does not hold: say which, and let libFuzzer keep the input. */
#define require(condition, what)                                                                   \
	do {                                                                                       \
		if (!(condition))                                                                  \
			violated(__FILE__, __LINE__, what);                                        \
	} while (0)
__attribute__((noreturn)) void violated(const char *file, int line, const char *what);

/* The input as a stream of choices; what is behind its end is 0. */
struct choices {
	const uint8_t *at;
	size_t left;
};
uint8_t choose(struct choices *c, unsigned int below); /* 0 … below - 1; below is at most 256 */
uint64_t choose_number(struct choices *c);	       /* small ones, and ones at the edges */

/* A copy of exactly size bytes, for free(). */
void *exact_copy(const void *from, size_t size);

/* NULL, out of the sight of clang-tidy, which would follow it into places that check() keeps it from. */
void *no_memory(void);

#endif
