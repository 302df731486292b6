/*
 * A lab's own parameters (lab.h): read from a word, checked, and printed when the lab is entered, which is
 * lab_enter(). What is wrong ends in bad-args.
 */
#ifndef LAB_PARAM_H
#define LAB_PARAM_H

#include "lab/lab.h"

/* key=value for this lab: it has no such key, or may not have that value, and the boot ends. */
void param_set(const struct lab *lab, const char *key, const char *value);

/*
 * Of one whose values have names: "all,block,chunk", from the value *from on, as many as a record has room for;
 * *from is then the first that is left, if there is more.
 */
const char *param_names(const struct param *p, uint64_t *from);
bool param_has_more(const struct param *p, uint64_t from);

#endif
