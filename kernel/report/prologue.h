/*
 * What a function's own code says of its frame. Compilers lay frames out as they like: GCC 12.2 puts the frame
 * record {x29, x30} at the bottom, GCC since 12.4 puts it above the arrays of a function with a canary (the
 * mend of CVE-2023-4039), clang puts it near the top. So nobody may take the record for the frame's end:
 * the instructions up to `add x29, sp, #n`, and what is taken of the stack after it, tell where that is.
 *
 * Arithmetic over instruction words (Arm ARM C6.2): it compiles for the host as well.
 */
#ifndef REPORT_PROLOGUE_H
#define REPORT_PROLOGUE_H

#include "arch/types.h"

struct prologue {
	size_t taken;	/* bytes of stack since the function began */
	size_t record;	/* those of them that lie above its record's address */
	bool made;	/* x29 leads to its own record */
	bool over;	/* what follows is no prologue any more */
	bool at_target; /* SP was just compared with where a loop of probes ends */
	/* A constant in a register, as for `sub sp, sp, x12`; and where a loop of probes ends. */
	unsigned int constant_in, target_in;
	uint64_t constant;
	size_t target;
	size_t before; /* `taken`, without what the latest instruction took */
};

/* At a function's first instruction. No register has the number 32. */
#define PROLOGUE_BEGIN ((struct prologue){ .constant_in = 32, .target_in = 32 })

/* The next instruction, from the function's first on, in the order of their addresses. */
void prologue_step(struct prologue *p, uint32_t instruction);

/* Bytes of the frame that lie below its record: the SP of its calls is that much lower. */
static inline size_t prologue_below(const struct prologue *p)
{
	return p->made ? p->taken - p->record : 0;
}

/* `ldp x29, x30, [sp …]`: from here on x29 is the caller's again, whatever still follows before `ret`. */
bool prologue_is_undone_by(uint32_t instruction);

/* Does control never go on to the instruction after this one? */
bool prologue_ends_line(uint32_t instruction);

#endif
