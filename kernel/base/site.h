/*
 * Instructions that are made to fault have names: a report then says site=NAME, where an offset would
 * say nothing. The table is a section that the linker collects (kernel.ld).
 */
#ifndef BASE_SITE_H
#define BASE_SITE_H

#include "arch/types.h"

/*
 * A name for the very instruction that will fault, so that a report says site=NAME instead of an
 * offset: FAULT_SITE(guard_touch, "strb %w1, [%0]", "r"(p), "r"(0)).
 */
#define FAULT_SITE(site, instruction, ...)                                                         \
	__asm__ volatile("fault_site_" #site ": " instruction "\n\t"                               \
			 ".pushsection .rodata.sites, \"a\"\n\t"                                   \
			 "9: .asciz \"" #site "\"\n\t"                                             \
			 ".popsection\n\t"                                                         \
			 ".pushsection .fault_sites, \"a\"\n\t"                                    \
			 ".balign 8\n\t.quad fault_site_" #site ", 9b\n\t"                         \
			 ".popsection" ::__VA_ARGS__                                               \
			 : "memory")

/* The name of the site at pc, or NULL. */
const char *fault_site(uintptr_t pc);

#endif
