/* labs/descend.h, compiled with -Os (build.mk). */
#include "labs/descend.h"

DESCEND(descend_Os)
