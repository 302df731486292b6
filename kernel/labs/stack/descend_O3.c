/* labs/stack/descend.h, compiled with -O3 (build.mk). */
#include "labs/stack/descend.h"

DESCEND(descend_O3)
