/*
 * What ESR_EL1 says, decoded (Arm ARM D13.2.37): pure functions of the syndrome, for the report.
 * Unknown codes come back as NULL and are printed as numbers, never guessed.
 */
#ifndef ARCH_ESR_H
#define ARCH_ESR_H

#include "arch/types.h"

enum exception_class {
	EC_UNKNOWN = 0x00,
	EC_SVC64 = 0x15,
	EC_PAC = 0x1c, /* FEAT_FPAC: an authentication failed */
	EC_IABT_LOWER = 0x20,
	EC_IABT_SAME = 0x21,
	EC_PC_ALIGN = 0x22,
	EC_DABT_LOWER = 0x24,
	EC_DABT_SAME = 0x25,
	EC_SP_ALIGN = 0x26,
	EC_WATCH_SAME = 0x35,
	EC_BRK64 = 0x3c,
};

/* Fault status codes by kind; the level is in the low two bits. */
enum fault_status {
	FSC_TRANSLATION = 0x04,
	FSC_ACCESS_FLAG = 0x08,
	FSC_PERMISSION = 0x0c,
	FSC_TAG = 0x11,
	FSC_ALIGNMENT = 0x21,
};

static inline unsigned int esr_class(uint64_t esr)
{
	return (esr >> 26) & 0x3f;
}

static inline unsigned int esr_status(uint64_t esr)
{
	return esr & 0x3f;
}

/* The kind of a translation, access-flag or permission fault, its level cut off. */
static inline unsigned int esr_status_kind(uint64_t esr)
{
	return esr_status(esr) < 0x10 ? esr & 0x3c : esr_status(esr);
}

/* The number in `brk #n` or `svc #n`. */
static inline unsigned int esr_immediate(uint64_t esr)
{
	return esr & 0xffff;
}

bool esr_is_data_abort(uint64_t esr);
bool esr_is_instruction_abort(uint64_t esr);
bool esr_is_write(uint64_t esr);

/* Is FAR_EL1 valid? Only for aborts and PC alignment, and not with FnV set (ISS bit 10). */
bool esr_far_valid(uint64_t esr);

/* Does the instruction at ELR load or store through SP (Rn = 31)? C4.1: op0 = x1x0. */
static inline bool instruction_uses_sp(uint32_t instruction)
{
	return (instruction & 0x0a000000) == 0x08000000 && ((instruction >> 5) & 31) == 31;
}

const char *esr_class_name(uint64_t esr);  /* "(DABT) data abort, same EL" */
const char *esr_status_name(uint64_t esr); /* "translation fault, level 3" */

#endif
