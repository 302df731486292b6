/*
 * Meeting labs: two CPUs in one place at one moment. A watchpoint stops the first inside what a
 * lock guards, at a store or a load that it names, and there it waits for the other: with the lock
 * in vain, without it the other comes too, and waits until the first has finished. So nothing is
 * left to chance, or to the turns in which QEMU runs its CPUs. scenarios/test_meet.py is the other
 * half.
 */
#include "arch/descriptor.h"
#include "arch/mmu.h"
#include "arch/watch.h"
#include "base/cpu.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/illegal.h"
#include "light/light.h"
#include "mem/growspace.h"
#include "mem/page.h"
#include "proc/permanent.h"
#include "proc/sched.h"
#include "proc/smp.h"
#include "proc/thread.h"
#include "report/console.h"
#include "report/fault.h"
#include "report/report.h"
#include "report/turn.h"

STACK_CALLS("meet_victim",
	    "write_lines take_page map_stacks leave_list take_range give_page map_untouched "
	    "read_and_free end_twice fault_at_once",
	    "struct meeting")
STACK_CALLS("kernel/report/exception.c:dispatch", "wait_inside", "watch_hook: meet.* set it")
STACK_CALLS("kernel/report/fault.c:report_finding", "wait_in_report",
	    "fault_report_hook: meet.faults sets it")

#define PATIENCE 2000 /* times that a CPU lets the other run */

static uint32_t ready, came, left;
static bool met;

static void wait_for(const uint32_t *count, uint32_t wanted, unsigned int patience)
{
	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < wanted && patience--)
		cpu_relax();
}

/* watch_hook: the first inside waits for the second, and the second until the first has left. */
static void wait_inside(void)
{
	if (__atomic_add_fetch(&came, 1, __ATOMIC_ACQ_REL) == 1) {
		wait_for(&came, 2, PATIENCE);
		met = __atomic_load_n(&came, __ATOMIC_ACQUIRE) == 2;
	} else {
		wait_for(&left, 1, PATIENCE);
	}
}

/* What the two do, and where a watchpoint stops each. */
struct meeting {
	void (*act)(unsigned int cpu);
	uintptr_t place[2];
	enum watch_kind kind;
};
static struct meeting meeting;

static void meet_victim(__attribute__((unused)) void *unused)
{
	unsigned int cpu = cpu_local()->index;

	__atomic_add_fetch(&ready, 1, __ATOMIC_ACQ_REL);
	wait_for(&ready, 2, UINT32_MAX);
	if (meeting.place[cpu])
		watch_arm(meeting.place[cpu], 8, meeting.kind);
	meeting.act(cpu);
	__atomic_add_fetch(&left, 1, __ATOMIC_ACQ_REL);
}

/* The two threads that meet: made, and not yet let go. */
struct pair {
	struct thread *own, *other;
};

static struct pair make_pair(void)
{
	struct pair p = {
		.own = thread_make("victim", meet_victim, NULL, THREAD_STACK_DEFAULT, PAGE_SIZE),
		.other = smp_start(1, meet_victim, NULL), /* waits for the other */
	};

	if (!p.own)
		panic("no-victim");
	if (!p.other)
		end("bad-args why=no-cpu : CPU 1 did not start; boot with -smp 2 or more");
	return p;
}

/* Both have come back from it. How CPU 1 ended is returned; *here says the same of CPU 0. */
static enum thread_state run_pair_to(const struct pair *p, struct meeting how,
				     enum thread_state *here)
{
	meeting = how;
	watch_hook = wait_inside;
	sched_ready(p->own);
	*here = thread_join(p->own, NULL);
	return smp_join(p->other, NULL);
}

static void run_pair(const struct pair *p, struct meeting how)
{
	enum thread_state here;

	run_pair_to(p, how, &here);
}

static void meet_and_come_back(struct meeting how)
{
	struct pair p = make_pair();

	run_pair(&p, how);
}

/* Whoever met did what no lock allows. */
__attribute__((noreturn)) static void end_met(void)
{
	end(met ? "survived" : "ok");
}

static const char *yes(bool is)
{
	return is ? "yes" : "no";
}

/* --- the serial line -------------------------------------------------------------------------- */

/* Two records, written in one go: what stands between them has come between. */
#define LINE 32
static const char lines[2][2 * LINE + sizeof(uint64_t)] __attribute__((aligned(8))) = {
	"[meet-lab] begins cpu=0 : first\n[meet-lab] finishes cpu=0 : all\n",
	"[meet-lab] begins cpu=1 : first\n[meet-lab] finishes cpu=1 : all\n",
};

static void write_lines(unsigned int cpu)
{
	console_write(lines[cpu], 2 * LINE);
}

LAB(meet, console, "two CPUs inside the line writer", NO_PARAMS)
{
	meet_and_come_back((struct meeting){
		.act = write_lines,
		.place = { (uintptr_t)&lines[0][LINE], (uintptr_t)&lines[1][LINE] },
		.kind = WATCH_ACCESSES,
	});
	report("[meet-lab] met=%s", yes(met));
	end_met();
}

/* --- memory and stacks of the light environment ----------------------------------------------- */

#define LIGHT_PAGES 128 /* the block of boot stacks, and two CPUs' permanent ones */

static uintptr_t page[2];

static void lend_pages(void)
{
	char *run = page_alloc_run(LIGHT_PAGES);

	if (!run)
		panic("no-pages");
	light_memory(virt_to_phys(run), virt_to_phys(run) + LIGHT_PAGES * PAGE_SIZE);
}

static void take_page(unsigned int cpu)
{
	page[cpu] = light_pages(PAGE_SIZE);
}

LAB(meet, light_pages, "two CPUs take a page each in the light environment", NO_PARAMS)
{
	uintptr_t next = light_next_page_address();

	lend_pages();
	meet_and_come_back((struct meeting){ take_page, { next, next }, WATCH_STORES });
	report("[meet-lab] met=%s page=%s", yes(met), page[0] == page[1] ? "same" : "own");
	end_met();
}

/* For CPUs that are not there: 2 and 3. What they would stand on is mapped by those that are. */
static struct cpu *mapped_for[2];

static void map_stacks(unsigned int cpu)
{
	if (!permanent_map(mapped_for[cpu]))
		panic("no-permanent-stacks");
}

/*
 * The entry of the root table that leads to all permanent stacks: empty, until the first of them is
 * mapped.
 */
static uintptr_t root_entry(void)
{
	uintptr_t root = sysreg_read(ttbr1_el1) & DESC_ADDRESS;

	return (uintptr_t)phys_to_virt(root) + (PERMANENT_STACKS >> LEVEL_SHIFT(1)) % ENTRIES * 8;
}

static const char *is_mapped(const struct stack *s)
{
	for (uintptr_t at = s->base; at < stack_top(s); at += PAGE_SIZE)
		if (!mmu_descriptor(at, NULL))
			return "lost";
	return "mapped";
}

LAB(meet, permanent, "two CPUs map permanent stacks", NO_PARAMS)
{
	uintptr_t entry = root_entry();

	lend_pages();
	permanent_layout((struct permanent_layout){ BOOT_STACK_RESERVED, 4 * PAGE_SIZE });
	if (!permanent_map_block())
		panic("no-boot-stacks");
	for (unsigned int i = 0; i < 2; i++)
		mapped_for[i] = permanent_cpu(i + 2, NULL, NULL);
	meet_and_come_back((struct meeting){ map_stacks, { entry, entry }, WATCH_STORES });
	report("[meet-lab] met=%s cpu2=%s cpu3=%s", yes(met),
	       is_mapped(&mapped_for[0]->first->stack), is_mapped(&mapped_for[1]->first->stack));
	end_met();
}

/* --- the list of stacks ----------------------------------------------------------------------- */

static struct thread *listed[2]; /* for their stacks alone: they never run */

static struct thread *make_listed(const char *name)
{
	struct thread *t = thread_make(name, meet_victim, NULL, PAGE_SIZE, PAGE_SIZE);

	if (!t)
		panic("no-thread");
	return t;
}

static void leave_list(unsigned int cpu)
{
	stack_unregister(&listed[cpu]->stack);
}

static const char *in_list(const struct thread *t)
{
	for (const struct stack *s = stack_next(NULL); s; s = stack_next(s))
		if (s == &t->stack)
			return "listed";
	return "gone";
}

/*
 * The newest first: right leads to left, and each CPU is stopped where it writes the link to its
 * own.
 */
LAB(meet, leave, "two CPUs take neighbours out of the list of stacks", NO_PARAMS)
{
	struct pair pair = make_pair();

	listed[0] = make_listed("left");
	listed[1] = make_listed("right");
	run_pair(&pair,
		 (struct meeting){ leave_list,
				   { (uintptr_t)&listed[1]->stack.next, stack_list_address() },
				   WATCH_STORES });
	report("[meet-lab] met=%s left=%s right=%s", yes(met), in_list(listed[0]),
	       in_list(listed[1]));
	end_met();
}

/* --- what stacks grow from -------------------------------------------------------------------- */

#define RESERVE 8 /* pages */

static uintptr_t range[2];

static void take_range(unsigned int cpu)
{
	if (!growspace_take(PAGE_SIZE, &range[cpu]))
		panic("no-range");
}

LAB(meet, ranges, "two CPUs take a range each of the growth window", NO_PARAMS)
{
	uintptr_t place = growspace_places().ranges;

	meet_and_come_back((struct meeting){ take_range, { place, place }, WATCH_STORES });
	report("[meet-lab] met=%s range=%s taken=%lu", yes(met),
	       range[0] == range[1] ? "same" : "own", growspace_ranges());
	end_met();
}

static void give_page(unsigned int cpu)
{
	growspace_unmap(range[cpu], PAGE_SIZE);
}

LAB(meet, reserve, "two CPUs give a page each back to the reserve", NO_PARAMS)
{
	uintptr_t place = growspace_places().reserve;
	size_t before;

	growspace_fill(RESERVE);
	for (unsigned int cpu = 0; cpu < 2; cpu++) {
		take_range(cpu);
		if (!growspace_map(range[cpu], PAGE_SIZE))
			panic("no-reserve");
	}
	meet_and_come_back((struct meeting){ give_page, { place, place }, WATCH_STORES });
	before = page_count().in_use;
	growspace_drain();
	report("[meet-lab] met=%s of=%u back=%lu", yes(met), RESERVE, before - page_count().in_use);
	end_met();
}

/* --- translation tables ----------------------------------------------------------------------- */

/*
 * One where only CPU 0 maps, one in the window where stacks grow: they share nothing but the count.
 */
static const uintptr_t untouched[2] = { PERMANENT_STACKS, GROW_WINDOW + GROW_WINDOW_SIZE / 2 };

static void map_untouched(unsigned int cpu)
{
	if (mmu_map(untouched[cpu], RAM_BASE, PAGE_SIZE, MAP_RODATA))
		panic("no-tables");
}

/* No lock: the count is atomic. So both come there, and neither gets the other's table. */
LAB(meet, tables, "two CPUs take a translation table each", NO_PARAMS)
{
	uintptr_t place = ALIGN_DOWN(mmu_tables_used_address(), 8);
	bool both;

	meet_and_come_back((struct meeting){ map_untouched, { place, place }, WATCH_STORES });
	both = mmu_descriptor(untouched[0], NULL) && mmu_descriptor(untouched[1], NULL);
	mmu_unmap(untouched[0], PAGE_SIZE);
	report("[meet-lab] met=%s mapped=%s tables=%s", yes(met), both ? "both" : "one",
	       mmu_descriptor(untouched[1], NULL) ? "own" : "shared");
	end(both && mmu_descriptor(untouched[1], NULL) ? "ok" : "survived");
}

/* --- what another CPU remembers of a page ----------------------------------------------------- */

static void *shared;
static uint32_t has_read, is_freed;

/* noinline: a frame of its own, in which it faults. */
__attribute__((noinline)) static void read_shared(void)
{
	FAULT_SITE(stale_page, "ldr xzr, [%0]", "r"(shared));
}

/* CPU 1 reads before and after CPU 0 has freed the page: by then no TLB may know it. */
static void read_and_free(unsigned int cpu)
{
	if (cpu) {
		read_shared();
		__atomic_store_n(&has_read, 1, __ATOMIC_RELEASE);
		wait_for(&is_freed, 1, UINT32_MAX);
		read_shared();
		return;
	}
	wait_for(&has_read, 1, UINT32_MAX);
	page_free(shared);
	__atomic_store_n(&is_freed, 1, __ATOMIC_RELEASE);
}

LAB(meet, page, "a CPU reads a page again that another has freed", NO_PARAMS)
{
	shared = page_alloc();
	if (!shared)
		panic("no-page");
	meet_and_come_back((struct meeting){ .act = read_and_free });
	report("[meet-lab] CPU 1 read a page that is free");
	end("survived");
}

/* --- the end ---------------------------------------------------------------------------------- */

/* CPU 0 is stopped where it puts its last line together. */
static void end_twice(unsigned int cpu)
{
	if (cpu)
		wait_for(&came, 1, UINT32_MAX);
	end(cpu ? "survived" : "ok");
}

LAB(meet, end, "a CPU ends the machine while another does", NO_PARAMS)
{
	meet_and_come_back((struct meeting){
		end_twice, { ALIGN_UP((uintptr_t)cpus[0]->line[0], 8), 0 }, WATCH_STORES });
}

/* --- fault reports ---------------------------------------------------------------------------- */

enum faulting { FAULT_BOTH, FAULT_UNTOLD, FAULT_ONE };
LAB_WORDS(faulting_word, "both", "untold", "one")

static enum faulting faulting;

/* fault_report_hook: amid its report. */
static void wait_in_report(void)
{
	wait_inside();
	if (!met)
		return;
	report("[meet-lab] two CPUs are in their reports cpu=%u", cpu_local()->index);
	end("survived");
}

static void fault_at_once(unsigned int cpu)
{
	if (cpu && faulting == FAULT_ONE)
		while (true)
			cpu_relax();
	write_null();
}

#define FAULTS_PARAMS(P)                                                                           \
	P(who, FAULT_BOTH, 0, FAULT_ONE,                                                           \
	  "both, as is told before; both, and nobody knows; one, though both were to",             \
	  .name = faulting_word)

LAB(meet, faults, "two CPUs fault at one moment, and the first waits amid its report",
    FAULTS_PARAMS)
{
	struct pair pair = make_pair();
	enum thread_state here;
	enum thread_state other;

	faulting = (enum faulting)a->who;
	turn_rendezvous = faulting == FAULT_UNTOLD ? 1 : 2;
	if (faulting == FAULT_ONE)
		turn_ms = 2;
	fault_report_hook = wait_in_report;
	other = run_pair_to(&pair, (struct meeting){ .act = fault_at_once }, &here);
	report("[meet-lab] here=%s other=%s", here == THREAD_KILLED ? "killed" : "came-back",
	       other == THREAD_KILLED ? "killed" : "came-back");
	end(here == THREAD_KILLED && other == THREAD_KILLED ? "contained by=null-page"
							    : "survived");
}
