/* The frames of big_frame.h without -fstack-clash-protection (build.mk). */
#include "labs/lib/big_frame.h"

#pragma GCC diagnostic ignored "-Wvla" /* a variable-length array is what this is about */

BIG_FRAMES(unprobed);
