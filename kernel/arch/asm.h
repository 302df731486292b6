/* Assembly helpers: a function GDB and the symbol table know. */
#ifndef ARCH_ASM_H
#define ARCH_ASM_H

	.cfi_sections .debug_frame

.macro function name
	.global	\name
	.type	\name, %function
\name:
.endm

.macro endfunction name
	.size	\name, . - \name
.endm

#endif
