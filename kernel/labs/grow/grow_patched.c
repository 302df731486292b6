/* See grow_deep.h and build.mk. */
#include "labs/grow/grow_deep.h"

GROW_DEEP(patched)
GROW_DEEP_TWO(patched_two)
GROW_BIG(patched)
