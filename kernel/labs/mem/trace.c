/* The traces. See trace.h; the labs that play them are in trace_play.c. */
#include "labs/mem/trace.h"

#include "labs/mem/trace_recorded.h"
#include "report/report.h"

#define SEED 0x12345678
#define LARGEST 1024

static struct trace_event made[4][TRACE_EVENTS];

struct trace traces[TRACES] = {
	{ "fixed", made[0], 0 },
	{ "random", made[1], 0 },
	{ "ramp", made[2], 0 },
	{ "queue", made[3], 0 },
	{ "boot", recorded_boot, ARRAY_SIZE(recorded_boot) },
	{ "threads", recorded_threads, ARRAY_SIZE(recorded_threads) },
};

static void add(int trace, size_t slot, size_t size)
{
	struct trace *t = &traces[trace];

	if (t->count == TRACE_EVENTS)
		panic("trace-too-long");
	made[trace][t->count++] = (struct trace_event){ (uint16_t)slot, (uint16_t)size };
}

/* The memory-lab seed's generator; its low bits repeat soon. */
static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* One size, taken by 64 and given back in the same order, four times. */
static void make_fixed(void)
{
	for (int round = 0; round < 4; round++) {
		for (size_t slot = 0; slot < 64; slot++)
			add(0, slot, 256);
		for (size_t slot = 0; slot < 64; slot++)
			add(0, slot, 0);
	}
}

/* Any slot at any time: a full one is emptied, an empty one gets 1 to 1024 bytes. */
static void make_random(void)
{
	bool full[TRACE_SLOTS] = { false };
	uint32_t state = SEED;

	for (int i = 0; i < 448; i++) {
		size_t slot = next_random(&state) % 96;

		add(1, slot, full[slot] ? 0 : next_random(&state) % LARGEST + 1);
		full[slot] = !full[slot];
	}
}

/*
 * Each size a little larger than the last; of those taken, every other one is given back before the next
 * round of larger ones comes: what is free is always a little too small.
 */
static void make_ramp(void)
{
	for (size_t slot = 0; slot < TRACE_SLOTS; slot++) {
		add(2, slot, 8 * (slot + 1));
		if (slot % 2)
			add(2, slot - 1, 0);
	}
	for (size_t slot = 1; slot < TRACE_SLOTS; slot += 2)
		add(2, slot, 0);
}

/* Messages of 1 to 1024 bytes: a burst of 1 to 8 comes in, 1 to 8 of the oldest go. */
static void make_queue(void)
{
	uint32_t state = SEED;
	size_t in = 0, out = 0;

	while (in < 220) {
		for (size_t n = next_random(&state) % 8 + 1; n && in - out < 64; n--)
			add(3, in++ % 64, next_random(&state) % LARGEST + 1);
		for (size_t n = next_random(&state) % 8 + 1; n && out < in; n--)
			add(3, out++ % 64, 0);
	}
	for (; out < in; out++)
		add(3, out % 64, 0);
}

void traces_make(void)
{
	make_fixed();
	make_random();
	make_ramp();
	make_queue();
}
