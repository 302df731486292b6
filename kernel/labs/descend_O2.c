/* labs/descend.h, compiled with -O2 (build.mk). */
#include "labs/descend.h"

DESCEND(descend_O2)
