/* What is written into memory that nobody may use, by the allocators, and known again by report/classify.c. */
#ifndef BASE_POISON_H
#define BASE_POISON_H

/* Every byte of a freed block. As a pointer it lies in no half of the address space (bit 55 is clear, too). */
#define POISON_FREED 0x6b6b6b6b6b6b6b6bUL

/* Every byte around a block that is no part of it. */
#define POISON_REDZONE 0xfdfdfdfdfdfdfdfdUL

#endif
