/* Cost labs: what reports and maps are made of. scenarios/test_cost.py is the other half. */
#include "arch/mmu.h"
#include "base/current.h"
#include "base/stack.h"
#include "base/stack_note.h"
#include "base/symbol.h"
#include "lab/lab.h"
#include "labs/cost/cost.h"
#include "labs/cost/least.h"
#include "mem/growspace.h"
#include "mem/page.h"
#include "report/backtrace.h"
#include "report/report.h"

#define PAGES 2
#define LINE 64 /* least_scan() goes by */

/* A KiB more of a stack that nobody has used: what a page more costs, by the kilobytes in it. */
static uint64_t per_kib(uint64_t one_page, uint64_t two_pages)
{
	return (two_pages - one_page) / (PAGE_SIZE / KiB);
}

static uint64_t watermark(char *memory, size_t size)
{
	static struct stack s;
	struct cost c;

	s = (struct stack){ .base = (uintptr_t)memory, .size = size };
	stack_prepare(&s, 0);
	c = cost_of(COSTED(stack_high_watermark), &s, 0);
	if (c.result)
		panic("not-painted");
	return c.instructions;
}

static uint64_t least_watermark(char *memory, size_t size)
{
	struct least_range range = { memory + LINE, memory + size, stack_marks.paint };
	struct cost c = cost_of(COSTED(least_scan), &range, 0);

	if ((size_t)c.result != size - LINE)
		panic("least-is-not-the-job");
	return c.instructions;
}

static void measure_watermark(void)
{
	char *memory = page_alloc_run(PAGES);

	if (!memory)
		panic("no-pages");
	cost_job("watermark.kib",
		 per_kib(watermark(memory, PAGE_SIZE), watermark(memory, PAGES * PAGE_SIZE)),
		 per_kib(least_watermark(memory, PAGE_SIZE),
			 least_watermark(memory, PAGES * PAGE_SIZE)));
}

/*
 * A probe of a search by halves: half of what is left; its row, 12 bytes each (two instructions); the load;
 * compare and choose (three, with the other row's address); what is left; and the branch. Around them: the
 * offset and the table (six), one load and compare and branch for the size, three results, and ret.
 */
#define PROBE 9
#define AROUND_PROBES 14

static uint64_t probes(void)
{
	uint64_t count = 0;

	for (uint64_t left = symbol_count(); left > 1; left -= left / 2)
		count++;
	return count;
}

static void measure_symbol(void)
{
	struct symbol found;
	struct cost c = cost_of(COSTED(symbol_find), (void *)measure_symbol, (uintptr_t)&found);

	if (found.address != (uintptr_t)measure_symbol)
		panic("no-symbol");
	cost_job("symbol.find", c.instructions, probes() * PROBE + AROUND_PROBES);
}

/*
 * Walked from here down: FEW frames of the same function and then MANY, which are printed as one row. So what
 * the second walk takes more is what a frame takes, but for a row of the console.
 */
#define FEW 20 /* their depth has as many digits */
#define MANY 40

STACK_RECURSION("walk_from", MANY + 1, "MANY, and the one that walks")
STACK_TAKEN("measure_symbol", "an address to look up")

/*
 * A record, aligned and within the same stack (six); upwards (two); a return address in the code (three); the
 * same as the last, by address and by size (five); three counts; and the branch.
 */
#define FRAME 20

static struct cost walked;

/* As if an exception had interrupted our caller. */
__attribute__((noinline)) static void walk(void)
{
	const uintptr_t *record = __builtin_frame_address(0);
	static struct frame f;

	f.elr = record[1];
	f.spsr = current()->frame.spsr;
	f.x[29] = record[0];
	f.sp = frame_bottom(record[0], record[1], true);
	walked = cost_of(COSTED(backtrace), &f, 0);
}

/* Recursion: each frame has its own address on the stack. */
__attribute__((noinline)) static void walk_from(uint64_t frames)
{
	if (frames)
		walk_from(frames - 1);
	else
		walk();
}

static void measure_backtrace(void)
{
	uint64_t few;

	walk_from(FEW);
	few = walked.instructions;
	walk_from(MANY);
	cost_job("backtrace.frame", (walked.instructions - few) / (MANY - FEW), FRAME);
}

/*
 * Its attributes (three); for each of three levels the index, the table's own address, the entry (four with
 * what turns a physical address into one to read); for two of them that it is there; the entry's bits and the
 * store; both barriers; ret.
 */
#define PAGE_MAP 22

static void *map_page(void *va, uintptr_t pa)
{
	mmu_map((uintptr_t)va, pa, PAGE_SIZE, MAP_DATA);
	return va;
}

/* Where a page was mapped before, so that its tables are there. */
static void measure_map(void)
{
	void *page = page_alloc();
	uintptr_t va;
	struct cost c;

	if (!page || !growspace_take(PAGE_SIZE, &va))
		panic("no-place");
	c = cost_of(map_page, (void *)va, virt_to_phys(page));
	if (mmu_page_of(va) != virt_to_phys(page))
		panic("not-mapped");
	cost_job("page.map", c.instructions, PAGE_MAP);
	mmu_unmap(va, PAGE_SIZE);
}

LAB(cost, scan, "a watermark, a symbol, a frame walked, a page mapped, beside the least", NO_PARAMS)
{
	cost_start();
	measure_watermark();
	measure_symbol();
	measure_backtrace();
	measure_map();
}
