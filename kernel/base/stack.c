/* Guard words, paint and the registry of stacks. See stack.h. */
#include "base/stack.h"

#include "arch/words.h"
#include "base/protect.h"
#include "base/spinlock.h"

/* Odd values on purpose: no address, no small number, not the same word twice. */
const struct stack_marks stack_marks = {
	.guard_words = {
		0x57ac4b0dba5e0001,
		0x57ac4b0dba5e0002,
		0x57ac4b0dba5e0003,
		0x57ac4b0dba5e0004,
	},
	.paint = 0x5ca1ab1e5ca1ab1e,
};

/* Whoever only looks takes no lock: a fault report comes at any moment, and each state in between is a list. */
static struct stack *stacks;
static struct spinlock stacks_lock = SPINLOCK_SWITCHED(PROTECT_STACKS_LOCK);

void stack_prepare(struct stack *s, size_t used)
{
	s->prepared = true;
	stack_put_guard_words(s);
	stack_paint(s->base + GUARD_WORDS_BYTES, stack_top(s) - used);
}

void stack_put_guard_words(struct stack *s)
{
	uint64_t *word = (uint64_t *)s->base;

	for (int i = 0; i < GUARD_WORDS; i++)
		word[i] = stack_marks.guard_words[i];
}

void stack_paint(uintptr_t from, uintptr_t to)
{
	if (protected(PROTECT_WATERMARK))
		fill_words((void *)from, (const void *)to, stack_marks.paint);
}

void stack_repaint(struct stack *s, uintptr_t sp)
{
	fill_words((uint64_t *)s->base + GUARD_WORDS, (const void *)sp, stack_marks.paint);
}

void stack_register(struct stack *s)
{
	uint64_t flags = spin_lock(&stacks_lock);

	s->next = stacks;
	__atomic_store_n(&stacks, s, __ATOMIC_RELEASE);
	spin_unlock(&stacks_lock, flags);
}

void stack_unregister(struct stack *s)
{
	uint64_t flags = spin_lock(&stacks_lock);

	for (struct stack **link = &stacks; *link; link = &(*link)->next) {
		if (*link == s) {
			*link = s->next;
			break;
		}
	}
	spin_unlock(&stacks_lock, flags);
}

const struct stack *stack_find(uintptr_t address)
{
	for (const struct stack *s = stacks; s; s = s->next)
		if (stack_contains(s, address))
			return s;
	return NULL;
}

static bool near(const struct stack *s, uintptr_t address)
{
	return address - stack_lowest(s) < stack_top(s) + s->guard - stack_lowest(s);
}

/* Where a stack has been is anybody's: another may be there by now, or have its guard there. */
const struct stack *stack_find_with_guards(uintptr_t address)
{
	const struct stack *found = stack_find(address);

	for (const struct stack *s = stacks; s && !found; s = s->next)
		if (!s->retired && near(s, address))
			found = s;
	for (const struct stack *s = stacks; s && !found; s = s->next)
		if (s->retired && near(s, address))
			found = s;
	return found;
}

#define PAINT_STEP 8 /* words */

static inline bool is_painted(const uint64_t *pair)
{
	return (pair[0] == stack_marks.paint) & (pair[1] == stack_marks.paint);
}

size_t stack_high_watermark(const struct stack *s)
{
	const uint64_t *word = stack_word(s, s->base) + (s->room ? 0 : GUARD_WORDS);
	const uint64_t *end = stack_word(s, stack_top(s));

	/* Below a hole something was touched; how much of the lowest page, no scan across it can say. */
	if (s->unbacked)
		return s->size;
	if (!protected(PROTECT_WATERMARK) || !s->prepared)
		return 0;
	if (!stack_guard_words_ok(s))
		return s->size;
	while (end - word >= PAINT_STEP && is_painted(word) && is_painted(word + 2) &&
	       is_painted(word + 4) && is_painted(word + 6))
		word += PAINT_STEP;
	while (word < end && *word == stack_marks.paint)
		word++;
	return (size_t)((uintptr_t)end - (uintptr_t)word);
}

uintptr_t stack_list_address(void)
{
	return (uintptr_t)&stacks;
}

const struct stack *stack_next(const struct stack *s)
{
	return s ? s->next : stacks;
}
