/* labs/descend.h, compiled with -O3 (build.mk). */
#include "labs/descend.h"

DESCEND(descend_O3)
