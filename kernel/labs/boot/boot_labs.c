/*
 * Boot labs: a kernel that gets 1 KiB of stack for each CPU from its boot loader, and what it
 * takes to get away from there. main.c and the lab play the loader, up to light_enter(); from
 * there on nothing of theirs is used. How: light/enter.S, light/light.c, proc/permanent.c; the CPUs'
 * meeting: labs/boot/boot_crew.c.
 */
#include "arch/mmu.h"
#include "arch/watch.h"
#include "base/spinlock.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/boot/boot_crew.h"
#include "light/enter.h"
#include "light/light.h"
#include "proc/permanent.h"
#include "proc/smp.h"
#include "proc/thread.h"
#include "report/report.h"

STACK_ENTRY("boot-stack:cpu*", "light_enter", "leave_boot_stack", 1 * KiB,
	    "what a boot loader gives each CPU: enter.S loads it, light_entry.main begins there")
STACK_ENTRY("borrowed", "map_on_borrowed", "", 8 * KiB,
	    "mapper=2: the end of the early heap, for as long as one CPU maps")
STACK_CALLS("kernel/light/enter.S:light_enter", "leave_boot_stack", "light_entry.main")
STACK_CALLS("kernel/light/enter.S:light_borrow", "map_on_borrowed", "the only one that borrows")
STACK_CALLS("kernel/labs/boot/boot_roll.c:crew_roll", "tiny_finish",
	    "crew.finish: only boot.tiny sets it")
STACK_IGNORE("leave_boot_stack", "map_by_plan", "boot-stack:cpu*",
	     "boot.tiny mapper=1 overflows that stack on purpose")
STACK_IGNORE("kernel/light/enter.S:light_borrow", "map_on_borrowed", "boot-stack:cpu*",
	     "it runs on the borrowed stack")

LINKER_SYMBOL(__early_heap_end);
LINKER_SYMBOL(__image_end);

#define DEADLINE_MS 1000
#define PATIENCE 2000 /* times that a CPU lets the other run */

/* --- on the boot stack: what the boot path is, and how it breaks ----------------------------- */

/* The lab's own parameters, for every CPU to read. */
static struct {
	uint64_t mapper, after, unmap;
	uint64_t crowded; /* 1: whoever has the borrowed stack waits whether another comes */
	uint64_t alone;	  /* 0: nobody waits for it */
} how;

/*
 * What a mapper is like whose author has 8 KiB: it plans every page of the CPU's stacks before it
 * maps the first. volatile: or the compiler would keep no plan. noinline: build.mk names it.
 */
#define PLAN_PAGES 128
__attribute__((noinline)) static bool map_by_plan(struct cpu *cpu)
{
	volatile uintptr_t plan[PLAN_PAGES];
	uintptr_t page = cpu->first->stack.base;

	for (size_t i = 0; i < PLAN_PAGES; i++)
		plan[i] = page + i * PAGE_SIZE;
	return permanent_map(cpu) && plan[0] == page;
}

__attribute__((noreturn)) static void no_stacks(void)
{
	light_end("panic why=no-permanent-stacks");
}

enum mapper { MAPPER_LEAN, MAPPER_PLAN, MAPPER_BORROW };

/* The early heap's last pages: mapped, as the image is, and not needed yet. */
#define BORROWED_BYTES (8 * KiB)
static struct stack borrowed = { .name = "borrowed", .size = BORROWED_BYTES };
static struct spinlock borrowing;

/* The second has nothing of the first's frames left to come back to. */
static void wait_on_borrowed(void)
{
	static uint32_t here;

	if (__atomic_add_fetch(&here, 1, __ATOMIC_ACQ_REL) == 2)
		light_end("survived");
	for (int n = 0; n < PATIENCE; n++)
		cpu_relax();
	__atomic_sub_fetch(&here, 1, __ATOMIC_ACQ_REL);
}

static void map_on_borrowed(void *cpu)
{
	if (how.crowded)
		wait_on_borrowed();
	if (!map_by_plan(cpu))
		no_stacks();
}

/* One CPU at a time: there is one such stack. */
static void borrow_and_map(struct cpu *cpu)
{
	uint64_t flags = how.alone ? spin_lock(&borrowing) : irq_save();

	light_borrow(map_on_borrowed, cpu, stack_top(&borrowed));
	if (how.alone)
		spin_unlock(&borrowing, flags);
	else
		irq_restore(flags);
}

static void map_own_stacks(struct cpu *cpu)
{
	bool mapped = true;

	if (how.mapper == MAPPER_LEAN)
		mapped = permanent_map(cpu);
	else if (how.mapper == MAPPER_PLAN)
		mapped = map_by_plan(cpu);
	else
		borrow_and_map(cpu);
	if (!mapped)
		no_stacks();
}

struct map_row {
	uintptr_t from, to;
	const char *what;
	bool moves; /* its end is the linker's business: raw */
};

static void say_row(const struct map_row *row)
{
	struct light_line line;

	light_begin(&line, "[boot-lab] map");
	light_address(&line, "from", row->from);
	if (row->moves) {
		light_address(&line, "raw", row->to);
	} else {
		light_address(&line, "to", row->to);
		light_number(&line, "size", row->to - row->from);
	}
	light_text(&line, " : ");
	light_text(&line, row->what);
	light_say(&line);
}

/* From the top down, as stacks grow. */
__attribute__((noinline)) static void say_map(void)
{
	uintptr_t slots = PERMANENT_STACKS + (crew.last + 1) * permanent_slot() + PAGE_SIZE;
	const struct map_row rows[] = {
		{ BOOT_STACKS, BOOT_STACKS_TOP, "boot stacks, 1 KiB for each of 256 CPUs", false },
		{ PERMANENT_STACKS, slots, "permanent stacks between guards, a slot a CPU", false },
		{ KVA_BASE + IMAGE_BASE, (uintptr_t)__image_end, "kernel: code, data, loader",
		  true },
		{ KVA_BASE, KVA_BASE + (1UL << 38), "all that is physical: devices, RAM", false },
		{ 0, 1UL << 39, "user space", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		say_row(&rows[i]);
}

enum after { AFTER_NOTHING, AFTER_LOCAL, AFTER_RETURN };
static volatile uint64_t *escaped;

/* SP alone is changed: what the function pops when it returns lies above its new stack. */
static void move_and_return(const struct cpu *cpu)
{
	light_swap_sp(stack_top(&cpu->first->stack));
}

/* Where every CPU begins: in on 1 KiB, out on a stack of its own. */
static void leave_boot_stack(struct thread *t)
{
	struct cpu *cpu = t->cpu;
	volatile uint64_t local = cpu->index;

	crew_guard_boot_stack(cpu);
	if (!stack_contains(&cpu->boot_stack, (uintptr_t)&local))
		crew.astray = true;
	if (cpu->index && (cpu->index == crew.silent || cpu->index == crew.taken))
		crew_park();
	if (!cpu->index) {
		escaped = &local;
		if (!crew.quiet)
			say_map();
	}
	if (crew.overflow == OVERFLOW_BOOT && cpu->index == crew.last)
		crew_overflow_boot_stack(cpu);
	map_own_stacks(cpu);
	watch_disarm();
	if (how.after == AFTER_RETURN)
		move_and_return(cpu);
	else
		light_leave(t);
}

/* --- boot.tiny ------------------------------------------------------------------------------- */

static void touch_local(void)
{
	report("[boot-lab] writing a local of before the move at=%pA", (void *)escaped);
	FAULT_SITE(stale_local, "str xzr, [%0]", "r"(escaped));
	report("[boot-lab] wrote it");
	end("survived");
}

static void tiny_finish(void)
{
	if (how.mapper == MAPPER_BORROW)
		report_stack(&borrowed, 0);
	if (how.unmap)
		permanent_unmap_block();
	report("[boot-lab] boot stacks %s", how.unmap ? "unmapped" : "left");
	if (how.after == AFTER_LOCAL)
		touch_local();
}

#define STACK_PARAM(P) P(stack, 1 * KiB, 256, 1 * KiB, "bytes of boot stack a CPU, a power of two")
#define SIZE_PARAM(P) P(size, 4, 1, 16, "pages of permanent stack a CPU")

#define TINY_PARAMS(P)                                                                             \
	STACK_PARAM(P)                                                                             \
	SIZE_PARAM(P)                                                                              \
	P(ids, 0, 0, 1, "1: a CPU's id is the index of its stack, as if ids had no holes")         \
	P(mapper, 0, 0, 2, "0 fits the boot stack, 1 does not, 2 borrows a larger one")            \
	P(after, 0, 0, 2, "after the move: 1 writes a local of before it, 2 returns")              \
	P(unmap, 1, 0, 1, "0: leave the boot stacks mapped when everybody has moved")

LAB_LIGHT(boot, tiny, "every CPU starts on 1 KiB, maps stacks of its own and moves to them",
	  TINY_PARAMS)
{
	how.mapper = a->mapper;
	how.after = a->after;
	how.unmap = a->unmap;
	how.alone = 1;
	light_entry.raw_ids = a->ids;
	borrowed.base = (uintptr_t)__early_heap_end - BORROWED_BYTES;
	stack_prepare(&borrowed, 0);
	stack_register(&borrowed);
	crew = (struct crew){
		.boot_stack = a->stack,
		.stack = a->size * PAGE_SIZE,
		.heed = 1,
		.deadline = DEADLINE_MS,
		.begin = leave_boot_stack,
		.finish = tiny_finish,
	};
	crew_boot();
}

#define BORROW_TWO_PARAMS(P) P(alone, 1, 0, 1, "0: nobody waits for the one borrowed stack")

LAB_LIGHT(boot, borrow_two, "CPUs 1 and 2 want the one borrowed stack at one moment",
	  BORROW_TWO_PARAMS)
{
	if (smp_cpus < 3)
		end("bad-args why=no-cpu : CPU 2 is not there; boot with -smp 3 or more");
	how.mapper = MAPPER_BORROW;
	how.alone = a->alone;
	how.crowded = 1;
	how.unmap = 1;
	borrowed.base = (uintptr_t)__early_heap_end - BORROWED_BYTES;
	stack_prepare(&borrowed, 0);
	stack_register(&borrowed);
	crew = (struct crew){
		.boot_stack = BOOT_STACK_RESERVED,
		.stack = THREAD_STACK_DEFAULT,
		.quiet = true,
		.heed = 1,
		.deadline = DEADLINE_MS,
		.begin = leave_boot_stack,
		.finish = tiny_finish,
	};
	crew_boot();
}

/* --- boot.smp -------------------------------------------------------------------------------- */

#define SMP_PARAMS(P)                                                                              \
	SIZE_PARAM(P)                                                                              \
	P(overflow, 0, 0, 4, "the last CPU: 1 boot, 2 permanent, 3 exception, 4 emergency stack")  \
	CREW_PAST_PARAM(P)                                                                         \
	P(silent, 0, 0, NR_CPUS - 1, "a CPU that starts and never says so; 0: none")               \
	P(taken, 0, 0, NR_CPUS - 1, "a CPU that the loader has started and keeps; 0: none")        \
	P(absent, 0, 0, 1, "1: the firmware is asked for one more CPU than there are")             \
	P(heed, 1, 0, 1, "0: do not look at what the firmware answers")                            \
	P(deadline, DEADLINE_MS, 0, 10000, "guest ms to wait for all together; 0: for ever")

LAB_LIGHT(boot, smp, "every CPU comes up, moves to its own stacks and is called by name",
	  SMP_PARAMS)
{
	crew = (struct crew){
		.boot_stack = BOOT_STACK_RESERVED,
		.stack = a->size * PAGE_SIZE,
		.quiet = true,
		.overflow = a->overflow,
		.past = a->past,
		.silent = a->silent,
		.taken = a->taken,
		.absent = a->absent,
		.heed = a->heed,
		.deadline = a->deadline,
		.begin = leave_boot_stack,
	};
	crew_boot();
}
