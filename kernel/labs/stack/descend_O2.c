/* labs/stack/descend.h, compiled with -O2 (build.mk). */
#include "labs/stack/descend.h"

DESCEND(descend_O2)
