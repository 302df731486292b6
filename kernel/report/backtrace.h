/* The kernel's own backtrace: frame pointers only, no DWARF, no nested fault whatever it meets. */
#ifndef REPORT_BACKTRACE_H
#define REPORT_BACKTRACE_H

#include "arch/frame.h"

/* Print the [bt] records of an interrupted context, on past the exceptions below it. */
void backtrace(const struct frame *f);

/*
 * The lowest byte of the frame whose record is at this address: what SP is in the calls of its function, but for
 * alloca. pc lies in that function; is_return: it is the return address of such a call, without a signature.
 */
uintptr_t frame_bottom(uintptr_t record, uintptr_t pc, bool is_return);

#endif
