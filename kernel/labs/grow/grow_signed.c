/* See grow_deep.h and build.mk. */
#include "labs/grow/grow_deep.h"

GROW_DEEP(signed)
