/* The frames of big_frame.h, built as the whole kernel is: probed page by page. */
#include "labs/lib/big_frame.h"

#pragma GCC diagnostic ignored "-Wvla" /* a variable-length array is what this is about */

BIG_FRAMES(probed);
