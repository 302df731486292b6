/* Functions built with -fsanitize=shadow-call-stack: x18 must point at a shadow stack to call them. */
#ifndef LABS_LIB_SHADOWED_H
#define LABS_LIB_SHADOWED_H

#include "arch/types.h"

/* Put value where the return address is kept on the stack; returns that word, to its caller all the same. */
uintptr_t overwrite_shadowed_return(uintptr_t value);

#endif
