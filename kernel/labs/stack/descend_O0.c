/* labs/stack/descend.h, compiled with -O0 (build.mk). */
#include "labs/stack/descend.h"

DESCEND(descend_O0)
