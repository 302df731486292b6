/*
 * Checks patched into functions at run time. A function built with -fpatchable-function-entry=2 begins with
 * two NOPs and stands in a table; they become `mov x9, x30; bl grow_check_<bytes>`. Patched out, the branch is
 * a NOP again, and the mov, which does no harm, stays.
 *
 * Text stays read-only and executable: it is written through an alias, mapped for the moment and never
 * executable (W^X). Then the caches are made to agree (Arm ARM B2.4.4); TCG has none, so no test here shows
 * that this is right. CPU 0 patches. Other CPUs may be running the function meanwhile, as ftrace has it on
 * arm64: a NOP and a branch are each made of the other at any time (B2.2.5), the mov only while they are off.
 */
#ifndef PROC_PATCH_H
#define PROC_PATCH_H

#include "arch/types.h"

/*
 * NULL: done, or so already. Else why not: no-entry, frame-too-large, no-alias (no addresses to write it at); for
 * the first time in this function also busy (a thread stands between the two), not-alone (another CPU is on).
 * Patching out needs nothing.
 */
const char *patch_in(const void *function);
const char *patch_out(const void *function);

/* Bytes that the function's prologue takes, read from its instructions; SIZE_MAX: it probes in a loop. */
size_t patch_frame(const void *function);

/* The largest frame that its check covers, 0 if no check is patched in. */
size_t patch_check(const void *function);

#endif
