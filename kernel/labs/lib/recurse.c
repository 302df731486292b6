/* See recurse.h. Every array is volatile: or the compiler would keep one for all calls, or none. */
#include "arch/sysreg.h"
#include "base/stack_note.h"
#include "labs/lib/array.h"
#include "labs/lib/recurse.h"

STACK_CALLS("recurse_through_pointer", "recurse_through_pointer",
	    "the pointer is to itself, so that no compiler can see the recursion")

#define FRAME_WORDS 8
#define PAGE_WORDS (PAGE_SIZE / 8)

__attribute__((noinline)) uint64_t recurse(uintptr_t floor)
{
	volatile uint64_t fill[FRAME_WORDS];

	keep_array(fill);
	for (int i = 0; i < FRAME_WORDS; i++)
		fill[i] = floor;
	return stack_pointer > floor ? recurse(floor) + fill[0] : fill[FRAME_WORDS - 1];
}

__attribute__((noinline)) uint64_t recurse_pages(uintptr_t floor)
{
	volatile uint64_t fill[PAGE_WORDS];

	keep_array(fill);
	for (unsigned int i = 0; i < PAGE_WORDS; i++)
		fill[i] = floor;
	return stack_pointer > floor ? recurse_pages(floor) + fill[0] : fill[PAGE_WORDS - 1];
}

static uint64_t (*volatile through)(uintptr_t) = recurse_through_pointer;

__attribute__((noinline)) uint64_t recurse_through_pointer(uintptr_t floor)
{
	volatile uint64_t fill[FRAME_WORDS];

	keep_array(fill);
	for (int i = 0; i < FRAME_WORDS; i++)
		fill[i] = floor;
	return stack_pointer > floor ? through(floor) + fill[0] : fill[FRAME_WORDS - 1];
}
