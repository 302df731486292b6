/*
 * Stack labs: a broken chain of frame records, then a plain fault. The backtrace must stop with a word
 * for why, and never fault itself.
 */
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/illegal.h"
#include "labs/lib/victim.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_CALLS("break_chain", "to_*", "what is done to a frame record")

enum link { LINK_RECORD, LINK_RETURN };

struct damage {
	enum link which;
	uintptr_t (*value)(const uintptr_t *record);
};

/* Overwrite one word of this function's own record, fault, and mend it, in case nobody stopped us. */
__attribute__((noinline)) static void break_chain(const struct damage *damage)
{
	volatile uintptr_t *record = __builtin_frame_address(0);
	uintptr_t whole = record[damage->which];

	record[damage->which] = damage->value((const uintptr_t *)record);
	write_null();
	record[damage->which] = whole;
}

static void chain_victim(void *damage)
{
	report("[stack-lab] breaking the chain");
	break_chain(damage);
	report("[stack-lab] came back");
}

__attribute__((noreturn)) static void run(const struct damage *damage)
{
	victim_run(chain_victim, (void *)damage, 16 * KiB);
}

static uintptr_t to_itself(const uintptr_t *record)
{
	return (uintptr_t)record;
}

LAB(stack, chain_self, "a frame record that points at itself", NO_PARAMS)
{
	run(&(struct damage){ LINK_RECORD, to_itself });
}

/* write_null()'s record lies below and points up again: a cycle of two. */
static uintptr_t to_callee(const uintptr_t *record)
{
	return (uintptr_t)record - 16;
}

LAB(stack, chain_cycle, "frame records in a circle", NO_PARAMS)
{
	run(&(struct damage){ LINK_RECORD, to_callee });
}

static uintptr_t to_other_stack(__attribute__((unused)) const uintptr_t *record)
{
	return victim_neighbour()->base + 4 * KiB;
}

LAB(stack, chain_other, "a frame record in another stack", NO_PARAMS)
{
	victim_neighbour();
	run(&(struct damage){ LINK_RECORD, to_other_stack });
}

static uintptr_t to_garbage(__attribute__((unused)) const uintptr_t *record)
{
	return 0x00dead0000beef00;
}

LAB(stack, chain_garbage, "a frame record at an address that is none", NO_PARAMS)
{
	run(&(struct damage){ LINK_RECORD, to_garbage });
}

static uintptr_t to_odd(const uintptr_t *record)
{
	return record[0] | 1;
}

LAB(stack, chain_odd, "a frame record at an odd address", NO_PARAMS)
{
	run(&(struct damage){ LINK_RECORD, to_odd });
}

/* Half of such a record would be in the guard. */
static uintptr_t to_last_word(__attribute__((unused)) const uintptr_t *record)
{
	return stack_top(&current()->stack) - 8;
}

LAB(stack, chain_over_top, "a frame record that reaches over the top of its stack", NO_PARAMS)
{
	run(&(struct damage){ LINK_RECORD, to_last_word });
}

static uintptr_t to_top(__attribute__((unused)) const uintptr_t *record)
{
	return stack_top(&current()->stack);
}

LAB(stack, chain_top, "a frame record on top of its stack", NO_PARAMS)
{
	run(&(struct damage){ LINK_RECORD, to_top });
}

static uintptr_t to_below_bottom(__attribute__((unused)) const uintptr_t *record)
{
	return current()->stack.base - 8;
}

LAB(stack, chain_below, "a frame record that begins below the bottom of its stack", NO_PARAMS)
{
	run(&(struct damage){ LINK_RECORD, to_below_bottom });
}

static uintptr_t to_bottom(__attribute__((unused)) const uintptr_t *record)
{
	return current()->stack.base;
}

LAB(stack, chain_bottom, "a frame record at the bottom of its stack", NO_PARAMS)
{
	run(&(struct damage){ LINK_RECORD, to_bottom });
}

LAB(stack, chain_return, "a return address that is no code", NO_PARAMS)
{
	run(&(struct damage){ LINK_RETURN, to_garbage });
}
