/*
 * Meeting labs: two CPUs in one place at one moment. A watchpoint stops the first inside what a lock
 * guards, at a store or a load that it names, and there it waits for the other: with the lock in vain,
 * without it the other comes too, and waits until the first has finished. So nothing is left to chance, or
 * to the turns in which QEMU runs its CPUs. scenarios/test_meet.py is the other half.
 */
#include "arch/descriptor.h"
#include "arch/mmu.h"
#include "arch/watch.h"
#include "core/console.h"
#include "core/cpu.h"
#include "core/fault.h"
#include "core/lab.h"
#include "core/light.h"
#include "core/report.h"
#include "core/turn.h"
#include "labs/illegal.h"
#include "mem/page.h"
#include "proc/permanent.h"
#include "proc/sched.h"
#include "proc/smp.h"
#include "proc/thread.h"

#define PATIENCE 20000 /* times that a CPU lets the other run */

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

/* Both have come back from it. How the other ended is returned; *here says the same of this CPU's. */
static enum thread_state meet(struct meeting how, enum thread_state *here)
{
	struct thread *other = smp_start(1, meet_victim, NULL);
	struct thread *own = thread_create("victim", meet_victim, NULL, THREAD_STACK_DEFAULT);

	if (!own)
		panic("no-victim");
	if (!other)
		end("bad-args why=no-cpu : CPU 1 did not start; boot with -smp 2 or more");
	meeting = how;
	watch_hook = wait_inside;
	*here = thread_join(own, NULL);
	return smp_join(other, NULL);
}

static void meet_and_come_back(struct meeting how)
{
	enum thread_state here;

	meet(how, &here);
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

/* --- the serial line ----------------------------------------------------------------------------- */

/* Two records, written in one go: what stands between them has come between. */
struct lines {
	char first[32], second[32];
};
static const struct lines lines[2] __attribute__((aligned(8))) = {
	{ "[meet-lab] begins cpu=0 : first\n", "[meet-lab] finishes cpu=0 : all\n" },
	{ "[meet-lab] begins cpu=1 : first\n", "[meet-lab] finishes cpu=1 : all\n" },
};

static void write_lines(unsigned int cpu)
{
	console_write((const char *)&lines[cpu], sizeof(lines[cpu]));
}

LAB(meet, console, "two CPUs inside the line writer", NO_PARAMS)
{
	meet_and_come_back((struct meeting){
		.act = write_lines,
		.place = { (uintptr_t)lines[0].second, (uintptr_t)lines[1].second },
		.kind = WATCH_ACCESSES,
	});
	report("[meet-lab] met=%s", yes(met));
	end_met();
}

/* --- memory and stacks of the light environment -------------------------------------------------- */

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

/* The entry of the root table that leads to all permanent stacks: empty, until the first of them is mapped. */
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

/* --- the end ------------------------------------------------------------------------------------- */

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

/* --- fault reports ------------------------------------------------------------------------------- */

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
	enum thread_state here;
	enum thread_state other;

	faulting = (enum faulting)a->who;
	turn_rendezvous = faulting == FAULT_UNTOLD ? 1 : 2;
	fault_report_hook = wait_in_report;
	other = meet((struct meeting){ .act = fault_at_once }, &here);
	report("[meet-lab] here=%s other=%s", here == THREAD_KILLED ? "killed" : "came-back",
	       other == THREAD_KILLED ? "killed" : "came-back");
	end(here == THREAD_KILLED && other == THREAD_KILLED ? "contained by=null-page"
							    : "survived");
}
