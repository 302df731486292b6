/* labs/descend.h, compiled with -O0 (build.mk). */
#include "labs/descend.h"

DESCEND(descend_O0)
