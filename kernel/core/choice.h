/* One word of several, all in one string: "none|frames|conservative", numbered from 0. */
#ifndef CORE_CHOICE_H
#define CORE_CHOICE_H

#include "arch/types.h"

/* The number of `word`; false if it is none of them. */
bool choice_number(const char *words, const char *word, uint64_t *number);

/* Word `number` into `to`, cut to size - 1 characters; empty if there are not so many. */
void choice_word(const char *words, uint64_t number, char *to, size_t size);

#endif
