/*
 * keep_array(fill): it stays an array, with a canary above it. clang makes words of one that is only ever
 * indexed by what it can compute, and looks for arrays to guard after that; GCC looks before.
 */
#ifndef LABS_LIB_ARRAY_H
#define LABS_LIB_ARRAY_H

#ifdef __clang__
#define keep_array(array) __asm__ volatile("" ::"r"(array) : "memory")
#else
#define keep_array(array) ((void)(array))
#endif

#endif
