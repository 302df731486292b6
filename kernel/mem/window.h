/*
 * Where run-time stacks live: a window of addresses, its pages backed only where a stack is. Between
 * two stacks lies at least one page of guard, never mapped and shared by both. A larger guard is its
 * stack's own but for that page.
 */
#ifndef MEM_WINDOW_H
#define MEM_WINDOW_H

#include "arch/types.h"
#include "base/stack.h"

void window_init(void);

/*
 * Give s (its name set) `size` bytes, prepared and registered, with `guard` bytes unmapped on each side;
 * both multiples of the page. False, and nothing kept: no addresses, no pages or no translation tables.
 */
bool window_stack_alloc(struct stack *s, size_t size, size_t guard);
void window_stack_free(struct stack *s);

/* Pages of the window that belong to a stack, guards that nobody shares included. */
size_t window_in_use(void);

#endif
