/*
 * Translation tables and the switch to them. The kernel runs high (TTBR1) so that TTBR0 stays free
 * for processes and, until there are some, off: VA 0 and everything after it faults.
 *
 * mmu_build() runs before the MMU is on, at physical addresses: `linear` is then 0, and the compiler's
 * PC-relative addressing makes &symbol physical too. No table of pointers may be read there. Then every
 * CPU loads mmu_registers (start.S).
 */
#include "arch/mmu.h"

#include "arch/descriptor.h"
#include "arch/sysreg.h"
#include "arch/virt.h"
#include "arch/words.h"

#define BLOCK_SIZE MMU_BLOCK_SIZE

#define MAIR                                                                                       \
	((0x00UL << (8 * ATTR_DEVICE)) | (0xffUL << (8 * ATTR_NORMAL)) |                           \
	 (0xf0UL << (8 * ATTR_TAGGED)))

/* T0SZ = T1SZ = 25, 4 KiB granules, write-back inner-shareable walks, 40-bit physical addresses. */
#define TCR                                                                                        \
	((25UL << 0) | (1UL << 8) | (1UL << 10) | (3UL << 12) | (0UL << 14) | (25UL << 16) |       \
	 (1UL << 24) | (1UL << 26) | (3UL << 28) | (2UL << 30) | (2UL << 32))
#define TCR_EPD0 (1UL << 7)

/* RES1 bits; WXN: writable is never executable; SA, SA0: SP alignment; C, I, M: caches and MMU. */
#define SCTLR_RES1 0x30d00800UL
#define SCTLR ((1UL << 19) | (1UL << 12) | (1UL << 4) | (1UL << 3) | (1UL << 2) | (1UL << 0))

/*
 * Enough for the image, 512 GiB of RAM in blocks and the whole windows of stacks (32 tables) and pools (2). Not in .bss:
 * each table is cleared when it is taken.
 */
#define NR_TABLES 100
static uint64_t tables[NR_TABLES][ENTRIES] __attribute__((aligned(4096), section(".noinit")));
static unsigned int tables_used;

static uint64_t identity[ENTRIES] __attribute__((aligned(4096)));
struct mmu_registers mmu_registers;

static uintptr_t root;	 /* physical */
static uintptr_t linear; /* what turns a physical address into one this code can follow */

LINKER_SYMBOL(__text_start);
LINKER_SYMBOL(__text_end);
LINKER_SYMBOL(__rodata_start);
LINKER_SYMBOL(__rodata_end);
LINKER_SYMBOL(__data_start);
LINKER_SYMBOL(__guard_boot_low);
LINKER_SYMBOL(boot_stack_base);
LINKER_SYMBOL(boot_stack_top);
LINKER_SYMBOL(irq_stack_base);
LINKER_SYMBOL(irq_stack_top);
LINKER_SYMBOL(emergency_stack_base);
LINKER_SYMBOL(emergency_stack_top);
LINKER_SYMBOL(__image_end);

#define NORMAL (DESC_VALID | DESC_AF | DESC_UXN | DESC_SHARED | DESC_ATTR(ATTR_NORMAL))
#define TAGGED (DESC_VALID | DESC_AF | DESC_UXN | DESC_SHARED | DESC_ATTR(ATTR_TAGGED))

static const uint64_t attributes[] = {
	[MAP_TEXT] = NORMAL | DESC_RO,
	[MAP_RODATA] = NORMAL | DESC_RO | DESC_PXN,
	[MAP_DATA] = NORMAL | DESC_PXN,
	[MAP_TAGGED] = TAGGED | DESC_PXN,
	[MAP_DEVICE] = DESC_VALID | DESC_AF | DESC_UXN | DESC_PXN | DESC_ATTR(ATTR_DEVICE),
};

static uintptr_t table_alloc(void)
{
	unsigned int n;
	uint64_t *table;

	if (tables_used == NR_TABLES)
		return 0;
	/*
	 * A stack that moves on another CPU needs some too. Exclusives want the MMU on. Two CPUs never meet in
	 * one place: all of GROW_WINDOW is under one lock, and everything else CPU 0's.
	 */
	n = linear ? __atomic_fetch_add(&tables_used, 1, __ATOMIC_RELAXED) : tables_used++;
	if (n >= NR_TABLES)
		return 0;
	table = tables[n];
	fill_words(table, table + ENTRIES, 0);
	return (uintptr_t)table - linear;
}

static uint64_t *entry_at(uintptr_t table, uintptr_t va, unsigned int level)
{
	return (uint64_t *)(table + linear) + (va >> LEVEL_SHIFT(level)) % ENTRIES;
}

/*
 * The entry for va at `level`, its tables made on the way; NULL when they ran out. noinline: who knows that
 * they are there does not ask, and a copy in such a place would end in a trap for that.
 */
__attribute__((noinline)) static uint64_t *entry_make(uintptr_t va, unsigned int level)
{
	uintptr_t table = root;

	for (unsigned int l = 1; l < level; l++) {
		uint64_t *entry = entry_at(table, va, l);

		if (!(*entry & DESC_VALID)) {
			uintptr_t next = table_alloc();

			if (!next)
				return NULL;
			*entry = next | DESC_TABLE | DESC_VALID;
		}
		table = *entry & DESC_ADDRESS;
	}
	return entry_at(table, va, level);
}

int mmu_map(uintptr_t va, uintptr_t pa, size_t size, enum map_kind kind)
{
	uint64_t bits = attributes[kind];

	while (size) {
		bool block = !((va | pa) % BLOCK_SIZE) && size >= BLOCK_SIZE;
		size_t step = block ? BLOCK_SIZE : PAGE_SIZE;
		uint64_t *entry = entry_make(va, block ? 2 : 3);

		if (!entry)
			return -1;
		/* To the end of the table that was found; pages also end where a block could begin. */
		do {
			*entry++ = pa | bits | (block ? 0 : DESC_TABLE);
			va += step;
			pa += step;
			size -= step;
		} while (size >= step && va % (step * ENTRIES));
	}
	dsb();
	isb();
	return 0;
}

uint64_t mmu_descriptor(uintptr_t va, unsigned int *level)
{
	uintptr_t table = root;
	uint64_t descriptor = 0;
	unsigned int l;

	for (l = 1; l <= 3; l++) {
		descriptor = *entry_at(table, va, l);
		if (!(descriptor & DESC_VALID) || !(descriptor & DESC_TABLE))
			break;
		table = descriptor & DESC_ADDRESS;
	}
	if (level)
		*level = l > 3 ? 3 : l;
	return descriptor & DESC_VALID ? descriptor : 0;
}

uintptr_t mmu_page_of(uintptr_t va)
{
	return mmu_descriptor(va, NULL) & DESC_ADDRESS;
}

/* No CPU may use what it remembers of va. The caller waits for that: dsb. */
static void forget(uintptr_t va)
{
	dsb();
	__asm__ volatile("tlbi vaae1is, %0" ::"r"((va >> 12) & ((1UL << 44) - 1)));
}

void mmu_unmap(uintptr_t va, size_t size)
{
	for (uintptr_t end = va + size; va < end; va += PAGE_SIZE) {
		unsigned int level;

		if (!mmu_descriptor(va, &level) || level != 3)
			continue;
		*entry_make(va, 3) = 0;
		forget(va);
	}
	dsb();
	isb();
}

/*
 * Break before make (Arm ARM D8.14.1): between the two, nothing in the block may be touched. This code,
 * its stack and the tables lie in the image and in the stack window, and no other CPU uses what the page
 * allocator has in a block.
 */
static void split(uint64_t *entry, uintptr_t va, uint64_t *table)
{
	uint64_t block = *entry;

	for (uint64_t i = 0; i < ENTRIES; i++)
		table[i] = (block + i * PAGE_SIZE) | DESC_TABLE;
	*entry = 0;
	forget(va);
	dsb();
	*entry = ((uintptr_t)table - linear) | DESC_TABLE | DESC_VALID;
	dsb();
}

void mmu_hide_page(uintptr_t va, void *table)
{
	uint64_t *block = entry_make(va, 2);

	if (!(*block & DESC_TABLE))
		split(block, va, table);
	/* All but the one bit stays, for mmu_show_page(). */
	*entry_make(va, 3) &= ~DESC_VALID;
	forget(va);
	dsb();
	isb();
}

void mmu_show_page(uintptr_t va)
{
	*entry_make(va, 3) |= DESC_VALID;
	dsb();
	isb();
}

uintptr_t mmu_tables_used_address(void)
{
	return (uintptr_t)&tables_used;
}

bool mmu_accessible(uintptr_t va, bool write)
{
	uint64_t flags = irq_save();
	uint64_t par;

	if (write)
		__asm__ volatile("at s1e1w, %0" ::"r"(va));
	else
		__asm__ volatile("at s1e1r, %0" ::"r"(va));
	isb();
	par = sysreg_read(par_el1);
	irq_restore(flags);
	return !(par & 1);
}

static void map_image(char *from, char *to, enum map_kind kind)
{
	mmu_map((uintptr_t)from + KVA_BASE, (uintptr_t)from, (size_t)(to - from), kind);
}

void mmu_build(void);
void mmu_build(void)
{
	root = table_alloc();
	map_image(__text_start, __text_end, MAP_TEXT);
	map_image(__rodata_start, __rodata_end, MAP_RODATA);
	/* What lies between these is the guards: never mapped. */
	map_image(__data_start, __guard_boot_low, MAP_DATA);
	map_image(boot_stack_base, boot_stack_top, MAP_DATA);
	map_image(irq_stack_base, irq_stack_top, MAP_DATA);
	map_image(emergency_stack_base, emergency_stack_top, MAP_DATA);
	mmu_map(KVA_BASE + DTB_BASE, DTB_BASE, DTB_MAX, MAP_RODATA);
	mmu_map(KVA_BASE + DEVICES_BASE, DEVICES_BASE, DEVICES_SIZE, MAP_DEVICE);

	/* One 1 GiB block, read-only and executable, so that the next instruction is still there. */
	identity[RAM_BASE >> 30] = RAM_BASE | attributes[MAP_TEXT];
	mmu_registers = (struct mmu_registers){
		.mair = MAIR,
		.tcr = TCR,
		.ttbr0 = (uintptr_t)identity,
		.ttbr1 = root,
		.sctlr = SCTLR_RES1 | SCTLR,
		.tcr_high = TCR | TCR_EPD0,
	};
	/* From the next instruction on, every address that this code follows is virtual. */
	linear = KVA_BASE;
}
