/* In the place of kernel/core/string.h on the host: the C library's, which AddressSanitizer watches. */
#include <string.h>
