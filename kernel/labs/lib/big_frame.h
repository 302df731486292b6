/*
 * One frame larger than a guard page, compiled twice: probed.c with -fstack-clash-protection, which
 * touches every page on the way down, unprobed.c without. Only the lowest byte is written, so without
 * probes the frame steps over the guard. build.mk has the flags.
 */
#ifndef LABS_LIB_BIG_FRAME_H
#define LABS_LIB_BIG_FRAME_H

#include "arch/types.h"
#include "labs/lib/array.h"

#define BIG_FRAME_BYTES (9 * KiB)

struct big_frames {
	uint64_t (*fixed)(size_t unused); /* an array of BIG_FRAME_BYTES */
	uint64_t (*alloca)(size_t bytes);
	uint64_t (*vla)(size_t bytes);
};
extern const struct big_frames big_frames_probed, big_frames_unprobed;

#define BIG_FRAMES(suffix)                                                                         \
	__attribute__((noinline)) static uint64_t big_frame_##suffix(__attribute__((unused))       \
								     size_t unused)                \
	{                                                                                          \
		volatile uint8_t array[BIG_FRAME_BYTES];                                           \
                                                                                                   \
		keep_array(array);                                                                 \
		array[0] = 1;                                                                      \
		return array[0];                                                                   \
	}                                                                                          \
	__attribute__((noinline)) static uint64_t big_alloca_##suffix(size_t bytes)                \
	{                                                                                          \
		volatile uint8_t *array = __builtin_alloca(bytes);                                 \
                                                                                                   \
		array[0] = 1;                                                                      \
		return array[0];                                                                   \
	}                                                                                          \
	__attribute__((noinline)) static uint64_t big_vla_##suffix(size_t bytes)                   \
	{                                                                                          \
		volatile uint8_t array[bytes];                                                     \
                                                                                                   \
		array[0] = 1;                                                                      \
		return array[0];                                                                   \
	}                                                                                          \
	const struct big_frames big_frames_##suffix = {                                            \
		.fixed = big_frame_##suffix,                                                       \
		.alloca = big_alloca_##suffix,                                                     \
		.vla = big_vla_##suffix,                                                           \
	}

#endif
