/*
 * Which call fails: the text behind `fault=`, read, and the answer call by call. Pure: no device, no
 * clock, no allocation, so that it compiles for the host as well and the same rule always gives the same
 * answers. report/inject.c has the sites that it is put to.
 *
 *     <site>[,nth=N][,every=N][,prob=P,seed=S][,times=N][,space=BYTES][,who=THREAD]
 *
 *   who=THREAD    only calls of this thread count ("boot" before there are threads)
 *   space=BYTES   of those, the first that ask for no more than BYTES in all pass
 *   nth=N         of the rest the N-th fails, and with times=T the T from there on
 *   every=N       … the N-th, the 2N-th, …
 *   prob=P        … P of 100, at random; seed=S (0) gives other ones
 *   times=N       no more than N failures
 *
 * Without nth, every and prob each call fails; they exclude each other.
 */
#ifndef BASE_INJECT_RULE_H
#define BASE_INJECT_RULE_H

#include "arch/types.h"

#define INJECT_WORD_MAX 24 /* a site's name, with its NUL */
#define INJECT_WHO_MAX 16  /* a thread's */

struct inject_rule {
	char site[INJECT_WORD_MAX];
	char who[INJECT_WHO_MAX];		 /* "": anybody */
	uint64_t nth, every, prob, times, space; /* 0: not said; space counts down */
	uint64_t seed;				 /* the generator's state */
	uint64_t calls;				 /* that count, so far */
	uint64_t eligible;			 /* of those, behind space */
	uint64_t injected;
	char bad[INJECT_WORD_MAX]; /* the piece an error is about, cut where it is longer */
};

/* NULL, or what is wrong with r->bad, and what is allowed. Whether there is such a site is not looked at. */
const char *inject_rule_parse(struct inject_rule *r, const char *text);

/* A call by this thread for so many bytes: must it fail? */
bool inject_rule_fails(struct inject_rule *r, size_t bytes, const char *thread);

#endif
