/* labs/descend.h, compiled with -O1 (build.mk). */
#include "labs/descend.h"

DESCEND(descend_O1)
