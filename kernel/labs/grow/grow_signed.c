/* See grow_deep.h and build.mk. */
#include "labs/grow_deep.h"

GROW_DEEP(signed)
