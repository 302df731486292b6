/*
 * The light environment: what code has that runs before there is memory, on the 1 KiB of stack
 * that a boot loader gives each CPU. Three things, each as plain as it can be:
 *
 *   serial    a line is put together in a buffer of its user's, and written whole
 *   memory    physical, by the page, from the end of the image up; never given back
 *   vectors   name the exception and end the machine (light/enter.S)
 *
 * Every function here is on the boot path: kernel/build.mk adds up what it takes of the 1 KiB.
 */
#ifndef LIGHT_LIGHT_H
#define LIGHT_LIGHT_H

#include "arch/types.h"
#include "light/enter.h"

#define LIGHT_LINE_BYTES 144

/*
 * On its user's stack, as there is nowhere else. What does not fit is cut, and the line then ends
 * in '~'.
 */
struct light_line {
	size_t length;
	char bytes[LIGHT_LINE_BYTES];
};

/* Begin with the text, add to it, write it. report.h has the grammar. */
void light_begin(struct light_line *line, const char *text);
void light_text(struct light_line *line, const char *text);
void light_number(struct light_line *line, const char *key, uint64_t value);  /* " key=123" */
void light_address(struct light_line *line, const char *key, uint64_t value); /* " key=0x7b" */
void light_say(struct light_line *line);

/* The verdict and its fields, then power off. */
__attribute__((noreturn)) void light_end(const char *verdict);

/* Physical memory from start to end, in whole pages, is there to be taken. */
void light_memory(uintptr_t start, uintptr_t end);

/*
 * So many bytes, a multiple of the page, in one piece: its physical address, or 0 and nothing
 * taken.
 */
uintptr_t light_pages(size_t bytes);

/* Where it stands what is given out next, for a lab that stops a CPU there. */
uintptr_t light_next_page_address(void);

/* Bytes that are left. */
size_t light_pages_left(void);

/* What the vectors call, on a stack of its own: one [EXC] line, and the end. */
__attribute__((noreturn)) void light_fault(uint64_t kind);

#endif
