/* See patch.h. Encodings: Arm ARM C4.1, C6.2. */
#include "proc/patch.h"

#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "core/thread.h"
#include "mem/growspace.h"

#define NOPS 2
#define NOP 0xd503201fU
#define MOV_X9_X30 0xaa1e03e9U
#define BL 0x94000000U
#define BL_OFFSET 0x03ffffffU

/* Instructions of a prologue that are looked at. */
#define PROLOGUE 24

extern const uintptr_t __patchable_start[], __patchable_end[];

void grow_check_128(void);
void grow_check_1024(void);
void grow_check_4096(void);
void grow_check_16384(void);

static const struct {
	size_t bytes;
	void (*check)(void);
} checks[] = {
	{ 128, grow_check_128 },
	{ 1024, grow_check_1024 },
	{ 4096, grow_check_4096 },
	{ 16384, grow_check_16384 },
};

static uint32_t *find_entry(const void *function)
{
	for (const uintptr_t *e = __patchable_start; e < __patchable_end; e++)
		if (*e == (uintptr_t)function)
			return (uint32_t *)*e;
	return NULL;
}

/* The sign-extended, scaled imm7 of a pair, or an immediate: what this instruction takes from SP. */
static size_t taken(uint32_t i, const size_t *x)
{
	if ((i & 0xffc003e0) == 0xa98003e0) /* stp …, [sp, #imm7 * 8]! */
		return (size_t)(128 - (i >> 15 & 0x7f)) * 8;
	if ((i & 0xff8003ff) == 0xd10003ff) /* sub sp, sp, #imm12 {, lsl #12} */
		return (size_t)(i >> 10 & 0xfff) << (i >> 22 & 1 ? 12 : 0);
	if ((i & 0xffe0ffff) == 0xcb2063ff) /* sub sp, sp, xm */
		return x[i >> 16 & 0x1f];
	return 0;
}

/* movz, movk: how a frame too large for an immediate is said. */
static void note_constant(uint32_t i, size_t *x)
{
	unsigned int shift = (i >> 21 & 3) * 16;
	size_t value = (size_t)(i >> 5 & 0xffff) << shift;

	if ((i & 0xff800000) == 0xd2800000)
		x[i & 0x1f] = value;
	else if ((i & 0xff800000) == 0xf2800000)
		x[i & 0x1f] = (x[i & 0x1f] & ~(0xffffUL << shift)) | value;
}

/* b, bl, b.cond, cbz, tbz, br, blr, ret: the prologue is over, unless it goes back into it. */
static bool is_branch(uint32_t i)
{
	return (i & 0x7c000000) == 0x14000000 || (i & 0xff000000) == 0x54000000 ||
	       (i & 0x7c000000) == 0x34000000 || (i & 0xfe000000) == 0xd6000000;
}

/* b.cond with a negative offset. */
static bool goes_back(uint32_t i)
{
	return (i & 0xff000000) == 0x54000000 && i & 1U << 23;
}

size_t patch_frame(const void *function)
{
	const uint32_t *i = (const uint32_t *)function + NOPS;
	size_t x[32] = { 0 };
	size_t bytes = 0;

	for (int n = 0; n < PROLOGUE; n++, i++) {
		if (goes_back(*i))
			return SIZE_MAX;
		if (is_branch(*i))
			break;
		note_constant(*i, x);
		bytes += taken(*i, x);
	}
	return bytes;
}

/* Where text can be written for the moment. */
static uintptr_t alias(void)
{
	static uintptr_t page;

	if (!page && !growspace_take(PAGE_SIZE, &page))
		return 0;
	return page;
}

static void write_text(uint32_t *at, uint32_t instruction, uintptr_t page)
{
	uintptr_t offset = (uintptr_t)at % PAGE_SIZE;
	volatile uint32_t *writable = (uint32_t *)(page + offset);

	mmu_map(page, virt_to_phys((uintptr_t)at - offset), PAGE_SIZE, MAP_DATA);
	*writable = instruction;
	/* To the point of unification, then out of the instruction cache, then out of the pipeline. */
	__asm__ volatile("dc cvau, %0" ::"r"(writable) : "memory");
	dsb();
	mmu_unmap(page, PAGE_SIZE);
	__asm__ volatile("ic ivau, %0" ::"r"(at) : "memory");
	dsb();
	isb();
}

/* Behind the first and before the second instruction: it would go on with half of each. */
static bool somebody_between(const uint32_t *entry)
{
	for (const struct thread *t = all_threads; t; t = t->all_next)
		if (t->frame.elr == (uintptr_t)(entry + 1) && t != current())
			return true;
	return false;
}

/* In an order in which every state between can be run: x9 is nobody's, and bl comes last and goes first. */
static const char *patch(uint32_t *entry, uint32_t first, uint32_t second)
{
	uint64_t flags = irq_save();
	uintptr_t page = alias();
	bool busy = somebody_between(entry);

	if (!busy && page) {
		write_text(entry + 1, NOP, page);
		write_text(entry, first, page);
		write_text(entry + 1, second, page);
	}
	irq_restore(flags);
	return busy ? "busy" : page ? NULL : "no-alias";
}

const char *patch_in(const void *function)
{
	uint32_t *entry = find_entry(function);
	size_t frame;

	if (!entry)
		return "no-entry";
	frame = patch_frame(function);
	for (size_t n = 0; n < ARRAY_SIZE(checks); n++) {
		intptr_t offset = (intptr_t)checks[n].check - (intptr_t)(entry + 1);

		if (frame <= checks[n].bytes)
			return patch(entry, MOV_X9_X30, BL | ((uint32_t)(offset >> 2) & BL_OFFSET));
	}
	return "frame-too-large";
}

const char *patch_out(const void *function)
{
	uint32_t *entry = find_entry(function);

	return entry ? patch(entry, NOP, NOP) : "no-entry";
}

size_t patch_check(const void *function)
{
	const uint32_t *entry = find_entry(function);
	uintptr_t target;

	if (!entry || (entry[1] & ~BL_OFFSET) != BL)
		return 0;
	target = (uintptr_t)(entry + 1) + (uintptr_t)((int32_t)(entry[1] << 6) >> 6) * 4;
	for (size_t n = 0; n < ARRAY_SIZE(checks); n++)
		if ((uintptr_t)checks[n].check == target)
			return checks[n].bytes;
	return 0;
}
