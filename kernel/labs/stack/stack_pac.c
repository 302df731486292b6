/*
 * Stack labs: signed return addresses (FEAT_PAuth, Arm ARM D8). They want -cpu max. The functions are
 * always built for it; the instructions do nothing until the CPU is told to sign, which the lab does
 * unless protect=-pac.
 *
 * QEMU 7.2's -cpu max has no FEAT_FPAC: a failed authentication leaves a broken pointer, and the *return*
 * to it faults. Real hardware with FPAC faults at the authentication itself (EC 0x1c).
 */
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/sign.h"
#include "labs/lib/victim.h"
#include "report/report.h"

STACK_DYNAMIC("smash_vla", 64, "an array of 64 bytes at most")
STACK_TAKEN("gadget*", "return addresses are overwritten with it; it is never called")
STACK_JUMPS("overwrite_return", "gadget", "its return address is overwritten with it")

#pragma GCC diagnostic ignored "-Wvla" /* stack.vla_smash is about one */

#define SIGNED __attribute__((noinline, target("branch-protection=pac-ret")))

/* Where the overwritten return addresses lead. */
__attribute__((noreturn)) static void gadget(void)
{
	report("[stack-lab] returned into the gadget");
	end("survived");
}

SIGNED static void overwrite_return(uintptr_t value)
{
	volatile uintptr_t *record = __builtin_frame_address(0);

	record[1] = value;
}

static void return_victim(__attribute__((unused)) void *unused)
{
	report("[stack-lab] overwriting the return address");
	overwrite_return((uintptr_t)gadget);
	report("[stack-lab] came back");
}

LAB(stack, return_address, "a return address is overwritten on the stack", NO_PARAMS)
{
	sign_returns();
	victim_run(return_victim, NULL, 16 * KiB);
}

/*
 * CVE-2023-4039: in this compiler's frame a variable-length array lies under x29 and x30, and the canary
 * above them. A linear overflow of the array reaches the return address and leaves the canary whole.
 */
SIGNED static void smash_vla(size_t words, uintptr_t value)
{
	__asm__("" : "+r"(words)); /* or the compiler may know how many, and it is no VLA */

	volatile uintptr_t array[words];
	volatile uintptr_t *beyond = (uintptr_t *)__builtin_frame_address(0) + 2;

	for (volatile uintptr_t *p = array; p < beyond; p++)
		*p = value;
}

static void vla_victim(__attribute__((unused)) void *unused)
{
	report("[stack-lab] writing 16 bytes past a variable-length array");
	smash_vla(4, (uintptr_t)gadget);
	report("[stack-lab] came back");
}

LAB(stack, vla_smash, "an overflow that the stack protector does not see", NO_PARAMS)
{
	sign_returns();
	victim_run(vla_victim, NULL, 16 * KiB);
}
