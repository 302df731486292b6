/* labs/stack/descend.h, compiled with -Os (build.mk). */
#include "labs/stack/descend.h"

DESCEND(descend_Os)
