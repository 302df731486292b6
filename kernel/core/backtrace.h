/* The kernel's own backtrace: frame pointers only, no DWARF, no nested fault whatever it meets. */
#ifndef CORE_BACKTRACE_H
#define CORE_BACKTRACE_H

#include "arch/frame.h"

/* Print the [bt] records of an interrupted context, on past the exceptions below it. */
void backtrace(const struct frame *f);

#endif
