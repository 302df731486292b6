/*
 * What a stack is: a named range with a guard on each side, guard words at its bottom and paint in
 * the rest. Every stack that exists is registered here, so that a report can name any address and a
 * backtrace can refuse a frame that lies in none. Who makes stacks: proc/thread.c, and main.c for
 * the boot CPU's own three.
 *
 *   base - guard      base        base + GUARD_WORDS_BYTES            base + size   … + guard
 *   | unmapped guard  | guard words | paint … | frames in use, growing down | unmapped guard |
 */
#ifndef BASE_STACK_H
#define BASE_STACK_H

#include "arch/frame.h"
#include "arch/types.h"

#define STACK_NAME_MAX 24
#define GUARD_WORDS 4
#define GUARD_WORDS_BYTES (GUARD_WORDS * 8)

struct stack {
	char name[STACK_NAME_MAX]; /* "thread:victim", "irq:cpu0": as it stands in a report */
	uintptr_t base;		   /* lowest address */
	size_t size;		   /* bytes; a multiple of the page unless it is copied to grow */
	size_t guard;		   /* bytes unmapped on each side */
	uintptr_t view; /* what leads from an address in it to the kernel's own: 0 but for a user stack */
	size_t room;	 /* bytes below base that it can still grow into; then the guard */
	size_t unbacked; /* bytes of it that are not mapped: holes, where it can have any */
	bool retired;	 /* moved away from: no bytes, only `room` below base, unmapped */
	bool prepared;	 /* guard words and paint are in place */
	struct stack *next;
};

/* What an unused stack holds; GDB's `hw stacks` reads it. */
struct stack_marks {
	uint64_t guard_words[GUARD_WORDS];
	uint64_t paint;
};
extern const struct stack_marks stack_marks;

_Static_assert(offsetof(struct stack_marks, paint) == STACK_MARKS_PAINT, "start.S");

static inline uintptr_t stack_top(const struct stack *s)
{
	return s->base + s->size;
}

/* Where the kernel reads and writes the word of a stack that its owner knows as `address`. */
static inline uint64_t *stack_word(const struct stack *s, uintptr_t address)
{
	return (uint64_t *)(address + s->view);
}

static inline bool stack_contains(const struct stack *s, uintptr_t address)
{
	return address - s->base < s->size;
}

/* The lowest address that has to do with this stack: of its guard, below all that it can grow into. */
static inline uintptr_t stack_lowest(const struct stack *s)
{
	return s->base - s->room - s->guard;
}

/* Can this be the SP of a thread on this stack? From its lower guard to the end of its upper one. */
static inline bool stack_owns_sp(const struct stack *s, uintptr_t sp)
{
	return sp - stack_lowest(s) <= stack_top(s) + s->guard - stack_lowest(s);
}

/* Write guard words and paint over the whole stack but the `used` bytes at its top. */
void stack_prepare(struct stack *s, size_t used);

/* Its parts: the guard words alone, and paint in [from, to), or nothing with protect=-watermark. */
void stack_put_guard_words(struct stack *s);
void stack_paint(uintptr_t from, uintptr_t to);

void stack_register(struct stack *s);
void stack_unregister(struct stack *s);

/* The stack an address lies in; with guards, also when it lies in a guard of it. NULL: none. */
const struct stack *stack_find(uintptr_t address);
const struct stack *stack_find_with_guards(uintptr_t address);

/* Paint everything below `sp` again, guard words aside: the watermark begins anew, and no secret stays. */
void stack_repaint(struct stack *s, uintptr_t sp);

/* Are the guard words intact? Yes while the stack can still grow: they are not there yet. */
static inline bool stack_guard_words_ok(const struct stack *s)
{
	const uint64_t *word = stack_word(s, s->base);
	const uint64_t *mark = stack_marks.guard_words;

	/* By pairs: one branch for two words is what the compiler makes of it. */
	return s->room || (((word[0] == mark[0]) & (word[1] == mark[1])) &&
			   ((word[2] == mark[2]) & (word[3] == mark[3])));
}
_Static_assert(GUARD_WORDS == 4, "stack_guard_words_ok");

/*
 * Painted high-water mark: bytes from the top down to the lowest byte that is not paint. A frame that
 * was reserved and never written is not seen. 0 with protect=-watermark, and before stack_prepare(), as
 * nothing was painted.
 */
size_t stack_high_watermark(const struct stack *s);

/* Where the list of them begins, for who wants to know when it is written. */
uintptr_t stack_list_address(void);

/* Walk the registered stacks, newest first; NULL to begin and at the end. */
const struct stack *stack_next(const struct stack *s);

#endif
