/* See patch.h. Encodings: Arm ARM C4.1, C6.2. */
#include "proc/patch.h"

#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "base/current.h"
#include "base/protect.h"
#include "mem/growspace.h"
#include "proc/smp.h"

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

/* The two may lie on two pages. */
#define ALIAS_BYTES (2 * PAGE_SIZE)

/* Where text is written; taken while any function is patched, so that patching out needs nothing. */
static uintptr_t alias;
static unsigned int patched;

static void write_text(uint32_t *at, const uint32_t *instructions, size_t count)
{
	uintptr_t offset = (uintptr_t)at % PAGE_SIZE;
	volatile uint32_t *writable = (uint32_t *)(alias + offset);

	mmu_map(alias, virt_to_phys((uintptr_t)at - offset), ALIAS_BYTES, MAP_DATA);
	for (size_t n = 0; n < count; n++)
		writable[n] = instructions[n];
	/* To the point of unification, then out of the instruction cache, then out of the pipeline. */
	for (size_t n = 0; n < count; n++)
		__asm__ volatile("dc cvau, %0" ::"r"(writable + n) : "memory");
	dsb();
	mmu_unmap(alias, ALIAS_BYTES);
	for (size_t n = 0; n < count; n++)
		__asm__ volatile("ic ivau, %0" ::"r"(at + n) : "memory");
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

/*
 * The first instruction, for good: mov x9, x30 does no harm where no check follows. It is none of those that
 * may be changed while another CPU could be running them (Arm ARM B2.2.5), and who stands behind its NOP has
 * no return address in x9.
 */
static const char *prepare(uint32_t *entry)
{
	const uint32_t mov = MOV_X9_X30;

	if (*entry == mov)
		return NULL;
	if (protected(PROTECT_PATCH_ALONE) && !smp_alone())
		return "not-alone";
	if (somebody_between(entry))
		return "busy";
	if (protected(PROTECT_PATCH_ALONE))
		write_text(entry, &mov, 1);
	return NULL;
}

/* Off: both at once, each time, whoever may stand between. */
static void write_second(uint32_t *entry, uint32_t first, uint32_t second)
{
	const uint32_t both[NOPS] = { first, second };

	if (protected(PROTECT_PATCH_ALONE))
		write_text(entry + 1, &second, 1);
	else
		write_text(entry, both, NOPS);
}

static uint32_t branch_to(const uint32_t *from, void (*to)(void))
{
	return BL | ((uint32_t)(((intptr_t)to - (intptr_t)from) >> 2) & BL_OFFSET);
}

static const char *patch(uint32_t *entry, void (*check)(void))
{
	const char *why;

	if (!patched && !growspace_take(ALIAS_BYTES, &alias))
		return "no-alias";
	why = prepare(entry);
	if (!why) {
		write_second(entry, MOV_X9_X30, branch_to(entry + 1, check));
		patched++;
	} else if (!patched) {
		growspace_give(alias);
	}
	return why;
}

const char *patch_in(const void *function)
{
	uint32_t *entry = find_entry(function);
	const char *why = "frame-too-large";
	uint64_t flags;
	size_t frame;

	if (!entry)
		return "no-entry";
	if (patch_check(function))
		return NULL;
	frame = patch_frame(function);
	flags = irq_save();
	for (size_t n = 0; n < ARRAY_SIZE(checks); n++) {
		if (frame > checks[n].bytes)
			continue;
		why = patch(entry, checks[n].check);
		break;
	}
	irq_restore(flags);
	return why;
}

const char *patch_out(const void *function)
{
	uint32_t *entry = find_entry(function);
	uint64_t flags;

	if (!entry)
		return "no-entry";
	if (!patch_check(function))
		return NULL;
	flags = irq_save();
	write_second(entry, NOP, NOP);
	if (!--patched)
		growspace_give(alias);
	irq_restore(flags);
	return NULL;
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
