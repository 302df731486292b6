/*
 * Checks patched into functions at run time. A function built with -fpatchable-function-entry=2 begins with
 * two NOPs and stands in a table; they become `mov x9, x30; bl grow_check_<bytes>`, and NOPs again.
 *
 * Text stays read-only and executable: it is written through an alias, mapped for the moment and never
 * executable (W^X). Then the caches are made to agree (Arm ARM B2.4.4); TCG has none, so no test here shows
 * that this is right. For CPU 0: another CPU in such a function would have to be stopped first.
 */
#ifndef PROC_PATCH_H
#define PROC_PATCH_H

#include "arch/types.h"

/* NULL: done. Else why not: no-entry, frame-too-large, busy (a thread stands between the two). */
const char *patch_in(const void *function);
const char *patch_out(const void *function);

/* Bytes that the function's prologue takes, read from its instructions; SIZE_MAX: it probes in a loop. */
size_t patch_frame(const void *function);

/* The largest frame that its check covers, 0 if no check is patched in. */
size_t patch_check(const void *function);

#endif
