/* What a fault means: the classes, and how one is told from another. See classify.h. */
#include "report/classify.h"

#include "arch/esr.h"
#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "arch/user.h"
#include "base/cpu.h"
#include "base/poison.h"
#include "report/upcall.h"

const struct fault_class_row fault_classes[] = {
	[CLASS_OVERFLOW] = { "overflow", "guard-page", "ran through the bottom of its own stack" },
	[CLASS_OVER_TOP] = { "over-top", "guard-page", "ran through the top of its own stack" },
	[CLASS_STRAY] = { "stray", "guard-page", "a pointer touched a guard; SP is innocent" },
	[CLASS_WILD_SP] = { "wild-sp", "mmu", "SP is in no part of its own stack" },
	[CLASS_MISALIGNED_SP] = { "misaligned-sp", "sp-alignment", "SP is not a multiple of 16" },
	[CLASS_NULL] = { "null", "null-page", "a null pointer, or near it" },
	[CLASS_FREED] = { "freed", "poison", "a pointer that was read from freed memory" },
	[CLASS_TAG] = { "tag", "mte", "a pointer whose tag is not the memory's" },
	[CLASS_OBJECT_PAGE] = { "object-page", "object-page",
				"behind an object with a page of its own, or in a freed one" },
	[CLASS_WRITE_RO] = { "write-ro", "w^x", "a write to what is read-only" },
	[CLASS_EXEC_NX] = { "exec-nx", "w^x", "execution of what is not code" },
	[CLASS_WILD_PC] = { "wild-pc", "mmu", "a jump to nowhere" },
	[CLASS_LOW_HALF] = { "low-half", "mmu", "a kernel access to a user address" },
	[CLASS_FREE_PAGE] = { "use-after-free", "page-check", "an access to a page that is free" },
	[CLASS_UNMAPPED] = { "unmapped", "mmu", "an access to what is not mapped" },
	[CLASS_UNDEFINED] = { "undefined", "exception", "an instruction that is none" },
	[CLASS_SENTINEL] = { "sentinel", "sentinel",
			     "the guard words of this stack are overwritten" },
	[CLASS_CANARY] = { "canary", "canary", "a function's stack canary is overwritten" },
	[CLASS_SHADOW] = { "shadow", "shadow-stack", "a return address and its shadow differ" },
	[CLASS_BUG] = { "bug", "assertion", "the kernel's own assertion failed" },
	[CLASS_BAD_SIGNATURE] = { "bad-signature", "pac",
				  "a return address whose signature is wrong" },
	[CLASS_KERNEL_ADDRESS] = { "kernel-address", "el0", "EL0 touched what is the kernel's" },
	[CLASS_USER_POINTER] = { "user-pointer", "pan",
				 "the kernel went by a process's own address" },
	[CLASS_USER_CODE] = { "user-code", "pxn", "the kernel jumped into a process's code" },
	[CLASS_HANG] = { "hang", "watchdog", "nothing ended this boot in time" },
	[CLASS_STALE] = { "stale-stack", "stale-stack",
			  "a pointer to where a stack was before it was copied" },
	[CLASS_STACK_OOM] = { "stack-oom", "stack-oom",
			      "no page is left for this stack to grow, or no addresses" },
	[CLASS_GROW_LIMIT] = { "grow-limit", "grow-limit",
			       "this stack is as large as it may become" },
	[CLASS_GROW_MASKED] = { "grow-masked", "grow-masked",
				"a stack may not grow while interrupts are masked" },
	[CLASS_GROW_LOCKED] = { "grow-locked", "grow-locked",
				"a stack may not grow while its thread holds a lock" },
	[CLASS_GROW_HANDLER] = { "grow-handler", "grow-handler",
				 "an exception handler asked for a larger stack" },
	[CLASS_UNKNOWN] = { "unknown", "exception", "no class fits" },
};

#define SPSR_SP_EL1 0x1
#define LOW_HALF_BITS 39       /* above it and below KVA_BASE an address is in neither half */
#define SCTLR_ENIA (1UL << 31) /* FEAT_PAuth: return addresses are signed */

static bool in_guard_below(const struct stack *s, uintptr_t address)
{
	return s->base - address - 1 < s->room + s->guard;
}

static bool in_guard_above(const struct stack *s, uintptr_t address)
{
	return address - stack_top(s) < s->guard;
}

static bool in_any_guard(uintptr_t address)
{
	return !stack_find(address) && stack_find_with_guards(address);
}

/* Where a stack was: its addresses, not its guards. */
static const struct stack *find_retired(uintptr_t address)
{
	const struct stack *s = stack_find_with_guards(address);

	return s && s->retired && s->base - address - 1 < s->room ? s : NULL;
}

/* On which stack should this context have been? */
static const struct stack *own_stack(const struct frame *f)
{
	const struct cpu *cpu = cpu_local();

	if (frame_is_user(f))
		return current()->user_stack;
	if (!(f->spsr & SPSR_SP_EL1))
		return &current()->stack;
	return stack_contains(&cpu->emergency_stack, f->sp) ? &cpu->emergency_stack
							    : &cpu->irq_stack;
}

/* Only where ELR itself can be read: a jump to nowhere has no instruction. */
static bool access_through_sp(const struct frame *f)
{
	const uint32_t *instruction = (const uint32_t *)f->elr;

	if (frame_is_user(f))
		instruction = user_view(f->elr);
	else if (!mmu_accessible(f->elr, false))
		instruction = NULL;
	return instruction && instruction_uses_sp(*instruction);
}

static enum fault_class hit_below(struct finding *n, const struct stack *s, uintptr_t far)
{
	n->stack = s;
	n->guard = "below";
	n->beyond = s->base - far;
	n->by_sp = n->own == s && (n->frame->sp < s->base || access_through_sp(n->frame));
	return n->by_sp ? CLASS_OVERFLOW : CLASS_STRAY;
}

static enum fault_class hit_above(struct finding *n, const struct stack *s, uintptr_t far)
{
	n->stack = s;
	n->guard = "above";
	n->beyond = far - stack_top(s) + 1;
	n->by_sp = n->own == s && (n->frame->sp > stack_top(s) || access_through_sp(n->frame));
	return n->by_sp ? CLASS_OVER_TOP : CLASS_STRAY;
}

/* Two neighbours share a guard: it is the culprit's own if it can be. */
static enum fault_class classify_guard(struct finding *n, uintptr_t far)
{
	const struct stack *s = n->own;

	if (!in_guard_below(s, far) && !in_guard_above(s, far))
		s = stack_find_with_guards(far);
	return in_guard_below(s, far) ? hit_below(n, s, far) : hit_above(n, s, far);
}

static enum fault_class classify_fetch(unsigned int kind, uintptr_t far)
{
	if (kind == FSC_PERMISSION)
		return CLASS_EXEC_NX;
	/*
	 * Where returns are signed at all, a failed authentication leaves its error code in the top bits:
	 * neither low nor high half.
	 */
	return sysreg_read(sctlr_el1) & SCTLR_ENIA && far >> LOW_HALF_BITS && far < KVA_BASE
		       ? CLASS_BAD_SIGNATURE
		       : CLASS_WILD_PC;
}

/* Whose address is it, and who used it? CLASS_UNKNOWN: nothing is wrong with that. */
static enum fault_class classify_owner(const struct frame *f, uintptr_t far)
{
	if (frame_is_user(f))
		return far >= KVA_BASE ? CLASS_KERNEL_ADDRESS : CLASS_UNKNOWN;
	if (!user_view(far))
		return CLASS_UNKNOWN;
	/* With the process's table in TTBR0: all that PAN says of a fetch is what the empty table says. */
	if (esr_is_instruction_abort(f->esr) && esr_status_kind(f->esr) == FSC_PERMISSION)
		return CLASS_USER_CODE;
	return CLASS_USER_POINTER;
}

/* What tells whose pointer it was, whether it can be mapped or not. CLASS_UNKNOWN: it tells nothing. */
static enum fault_class classify_pointer(uintptr_t far)
{
	if (far < PAGE_SIZE)
		return CLASS_NULL;
	return far - POISON_FREED < PAGE_SIZE ? CLASS_FREED : CLASS_UNKNOWN;
}

/* Told before the page that it lies in is looked at: a freed function pointer is misaligned. */
static enum fault_class classify_misaligned_pc(const struct finding *n)
{
	enum fault_class pointer = classify_pointer(n->frame->far);

	return pointer == CLASS_UNKNOWN ? CLASS_WILD_PC : pointer;
}

static enum fault_class classify_access(struct finding *n, uint64_t esr, uintptr_t far)
{
	unsigned int kind = esr_status_kind(esr);
	enum fault_class owner = classify_owner(n->frame, far), pointer = classify_pointer(far);

	if (owner != CLASS_UNKNOWN)
		return owner;
	if (kind == FSC_TAG)
		return CLASS_TAG;
	if (kind == FSC_ALIGNMENT && n->frame->sp % 16)
		return CLASS_MISALIGNED_SP;
	n->stack = find_retired(far);
	if (n->stack)
		return CLASS_STALE;
	if (!stack_owns_sp(n->own, n->frame->sp) &&
	    (in_any_guard(far) || access_through_sp(n->frame))) {
		n->stack = stack_find(n->frame->sp);
		return CLASS_WILD_SP;
	}
	if (in_any_guard(far))
		return classify_guard(n, far);
	if (pointer != CLASS_UNKNOWN)
		return pointer;
	if (esr_is_instruction_abort(esr))
		return classify_fetch(kind, far);
	if (kind == FSC_PERMISSION)
		return CLASS_WRITE_RO;
	if (pool_window_has(far))
		return CLASS_OBJECT_PAGE;
	n->freed_by = page_freed_by(far);
	if (n->freed_by)
		return CLASS_FREE_PAGE;
	return !(far >> LOW_HALF_BITS) && !frame_is_user(n->frame) ? CLASS_LOW_HALF
								   : CLASS_UNMAPPED;
}

static enum fault_class classify_brk(uint64_t esr)
{
	switch (esr_immediate(esr)) {
	case BRK_CANARY:
		return CLASS_CANARY;
	case BRK_SHADOW:
		return CLASS_SHADOW;
	case BRK_BUG:
		return CLASS_BUG;
	default:
		return CLASS_UNKNOWN;
	}
}

static enum fault_class classify_sync(struct finding *n)
{
	uint64_t esr = n->frame->esr;

	switch (esr_class(esr)) {
	case EC_DABT_SAME:
	case EC_DABT_LOWER:
	case EC_IABT_SAME:
	case EC_IABT_LOWER:
		return esr_far_valid(esr) ? classify_access(n, esr, n->frame->far) : CLASS_UNKNOWN;
	case EC_UNKNOWN:
		return CLASS_UNDEFINED;
	case EC_PAC:
		return CLASS_BAD_SIGNATURE;
	case EC_SP_ALIGN:
		return CLASS_MISALIGNED_SP;
	case EC_PC_ALIGN:
		return classify_misaligned_pc(n);
	case EC_SVC64:
		return esr_immediate(esr) == SVC_GROW ? CLASS_GROW_HANDLER : CLASS_UNKNOWN;
	case EC_BRK64:
		return frame_is_user(n->frame) ? CLASS_UNDEFINED : classify_brk(esr);
	default:
		return CLASS_UNKNOWN;
	}
}

void classify_exception(struct finding *n, const struct frame *f)
{
	*n = (struct finding){ .frame = f, .own = own_stack(f) };
	if (f->kind == KIND_FIQ)
		n->class = CLASS_HANG;
	else
		n->class = f->kind == KIND_SYNC ? classify_sync(n) : CLASS_UNKNOWN;
	n->detector = fault_classes[n->class].detector;
}

void classify_as(struct finding *n, const struct frame *f, enum fault_class class)
{
	*n = (struct finding){
		.frame = f,
		.own = own_stack(f),
		.class = class,
		.detector = fault_classes[class].detector,
	};
	n->stack = n->own;
}

/* Which stack a check found broken. A process has two, and its kernel stack breaks at EL0 as well. */
static const struct stack *broken_stack(const struct stack *own, uintptr_t sp,
					enum fault_class class)
{
	if (class == CLASS_WILD_SP)
		return stack_find(sp);
	if (class == CLASS_SENTINEL && stack_guard_words_ok(own))
		return &current()->stack;
	return own;
}

void classify_check(struct finding *n, const struct frame *f, enum fault_class class,
		    const char *detector)
{
	*n = (struct finding){
		.frame = f, .own = own_stack(f), .class = class, .detector = detector
	};
	n->stack = broken_stack(n->own, f->sp, class);
}
