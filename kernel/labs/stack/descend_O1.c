/* labs/stack/descend.h, compiled with -O1 (build.mk). */
#include "labs/stack/descend.h"

DESCEND(descend_O1)
