/* Decode tables for ESR_EL1; one line a row. See esr.h. */
#include "arch/esr.h"

#define ISS_FNV (1UL << 10)
#define ISS_WNR (1UL << 6)
#define ISS_CM (1UL << 8)

static const char *const class_names[64] = {
	[EC_UNKNOWN] = "(UNDEF) unknown or undefined instruction",
	[0x01] = "(WFX) trapped WFI or WFE",
	[0x07] = "(FP) trapped FP or SIMD",
	[0x0e] = "(ILL) illegal execution state",
	[EC_PAC] = "(PAC) a pointer authentication failed",
	[EC_SVC64] = "(SVC) supervisor call",
	[0x18] = "(MSR) trapped system register",
	[EC_IABT_LOWER] = "(IABT) instruction abort, lower EL",
	[EC_IABT_SAME] = "(IABT) instruction abort, same EL",
	[EC_PC_ALIGN] = "(PCALIGN) misaligned PC",
	[EC_DABT_LOWER] = "(DABT) data abort, lower EL",
	[EC_DABT_SAME] = "(DABT) data abort, same EL",
	[EC_SP_ALIGN] = "(SPALIGN) misaligned SP",
	[0x2f] = "(SERROR) system error",
	[EC_WATCH_SAME] = "(WATCH) watchpoint, same EL",
	[EC_BRK64] = "(BRK) software breakpoint",
};

static const char *const status_names[64] = {
	[0x00] = "address size fault, level 0",
	[0x01] = "address size fault, level 1",
	[0x02] = "address size fault, level 2",
	[0x03] = "address size fault, level 3",
	[0x04] = "translation fault, level 0",
	[0x05] = "translation fault, level 1",
	[0x06] = "translation fault, level 2",
	[0x07] = "translation fault, level 3",
	[0x09] = "access flag fault, level 1",
	[0x0a] = "access flag fault, level 2",
	[0x0b] = "access flag fault, level 3",
	[0x0d] = "permission fault, level 1",
	[0x0e] = "permission fault, level 2",
	[0x0f] = "permission fault, level 3",
	[0x10] = "external abort",
	[0x11] = "tag check fault",
	[0x21] = "alignment fault",
};

bool esr_is_data_abort(uint64_t esr)
{
	return esr_class(esr) == EC_DABT_SAME || esr_class(esr) == EC_DABT_LOWER;
}

bool esr_is_instruction_abort(uint64_t esr)
{
	return esr_class(esr) == EC_IABT_SAME || esr_class(esr) == EC_IABT_LOWER;
}

bool esr_is_write(uint64_t esr)
{
	return esr_is_data_abort(esr) && (esr & ISS_WNR) && !(esr & ISS_CM);
}

bool esr_far_valid(uint64_t esr)
{
	if (esr_class(esr) == EC_PC_ALIGN)
		return true;
	return (esr_is_data_abort(esr) || esr_is_instruction_abort(esr)) && !(esr & ISS_FNV);
}

const char *esr_class_name(uint64_t esr)
{
	return class_names[esr_class(esr)];
}

const char *esr_status_name(uint64_t esr)
{
	return esr_is_data_abort(esr) || esr_is_instruction_abort(esr)
		       ? status_names[esr_status(esr)]
		       : NULL;
}
