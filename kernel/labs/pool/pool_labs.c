/* Pool labs: what runs dry, and who says so. scenarios/test_pool.py is the other half. */
#include "lab/lab.h"
#include "labs/lib/leak.h"
#include "labs/pool/pool_kinds.h"
#include "mem/pool.h"
#include "proc/thread.h"
#include "report/report.h"

#define MAX_BLOCKS 256

/* Take every block, then one more. True if that one was refused. Not inlined: the refusal names it. */
__attribute__((noinline)) static bool drain_blocks(struct mem_pool *pool, void **blocks)
{
	for (size_t i = 0; i < pool->capacity; i++)
		blocks[i] = take_block(pool);
	report("[pool-lab] asking for one more");
	return pool_alloc(pool) == NULL;
}

static void exhaust_blocks(size_t count, size_t size)
{
	static struct mem_pool pool;
	static void *blocks[MAX_BLOCKS];

	if (!pool_init(&pool, "plain", size, count))
		panic("no-pool");
	if (!drain_blocks(&pool, blocks)) {
		pool_report(&pool);
		end("survived");
	}
	pool_report(&pool);
	pool_free(&pool, blocks[count / 2]);
	if (pool_alloc(&pool) != blocks[count / 2])
		panic("no-recovery");
	for (size_t i = 0; i < count; i++)
		pool_free(&pool, blocks[i]);
	report("[pool-lab] recovered after a free");
	pool_report(&pool);
}

static bool threads_may_end;

static void parked(__attribute__((unused)) void *unused)
{
	while (!READ_ONCE(threads_may_end))
		thread_sleep(1);
}

static size_t park_threads(struct thread **threads)
{
	size_t n = 0;

	while (n < MAX_THREADS && (threads[n] = thread_create("parked", parked, NULL, PAGE_SIZE)))
		n++;
	return n;
}

/* Thread objects run dry; one thread ends; there is room for one again. */
static void exhaust_threads(void)
{
	static struct thread *threads[MAX_THREADS];
	size_t before = thread_pool.in_use;
	size_t n = park_threads(threads);

	if (!n)
		panic("no-thread");
	pool_report(&thread_pool);
	WRITE_ONCE(threads_may_end, true);
	thread_join(threads[--n], NULL);
	threads[n] = thread_create("again", parked, NULL, PAGE_SIZE);
	if (!threads[n])
		panic("no-recovery");
	report("[pool-lab] recovered after a thread ended");
	for (n++; n > 0; n--)
		thread_join(threads[n - 1], NULL);
	pool_report(&thread_pool);
	leak_check(thread_pool.in_use != before, "threads");
}

#define EXHAUST_PARAMS(P)                                                                          \
	P(blocks, 16, 1, MAX_BLOCKS, "blocks in the plain pool")                                   \
	P(size, 64, 8, 1 * KiB, "bytes a block")

LAB(pool, exhaust, "a plain pool and the thread objects run dry, and recover", EXHAUST_PARAMS)
{
	exhaust_blocks(a->blocks, a->size);
	exhaust_threads();
	end("caught by=pool-limit");
}

/* The memory-lab seed's experiment: requests of 1 to 256 bytes out of blocks of 256, by its own generator. */
#define FRAG_SEED 0x12345678
#define FRAG_BLOCK 256
#define FRAG_BLOCKS 256
#define HISTOGRAM 8

static uint32_t lcg(uint32_t x)
{
	return x * 1664525 + 1013904223;
}

#define FRAG_PARAMS(P) P(requests, 128, 1, FRAG_BLOCKS, "blocks taken, of 256")

LAB(pool, frag, "what fixed-size blocks waste inside", FRAG_PARAMS)
{
	static struct mem_pool pool;
	unsigned long histogram[HISTOGRAM] = { 0 };
	unsigned long provided = a->requests * FRAG_BLOCK;
	unsigned long requested = 0;
	uint32_t random = FRAG_SEED;

	if (!pool_init(&pool, "frag", FRAG_BLOCK, FRAG_BLOCKS))
		panic("no-pool");
	for (uint64_t i = 0; i < a->requests; i++) {
		unsigned long size;

		random = lcg(random);
		size = random % FRAG_BLOCK + 1;
		take_block(&pool);
		requested += size;
		histogram[(size - 1) / (FRAG_BLOCK / HISTOGRAM)]++;
	}
	if (!provided)
		panic("no-requests");
	report("[mem-lab][pool] internal_frag_pct=%lu permille=%lu provided=%lu requested=%lu wasted=%lu",
	       100 * (provided - requested) / provided, 1000 * (provided - requested) / provided,
	       provided, requested, provided - requested);
	for (int i = 0; i < HISTOGRAM; i++)
		report("[mem-lab][pool] sizes up_to=%d requests=%lu",
		       (i + 1) * FRAG_BLOCK / HISTOGRAM, histogram[i]);
	pool_report(&pool);
}
