/* See boot_crew.h. From the loader's side to the roll, in the order of the functions. */
#include "labs/boot/boot_crew.h"

#include "arch/cycles.h"
#include "arch/gic.h"
#include "arch/psci.h"
#include "arch/timer.h"
#include "arch/watch.h"
#include "base/fdt.h"
#include "base/protect.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/lib/illegal.h"
#include "labs/lib/recurse.h"
#include "light/enter.h"
#include "light/light.h"
#include "proc/permanent.h"
#include "proc/smp.h"
#include "proc/thread.h"
#include "report/fault.h"
#include "report/report.h"

STACK_STARTS("permanent:cpu*", "settle", 16 * KiB,
	     "what each CPU moves to, 4 pages unless size= says otherwise")
STACK_CALLS("kernel/report/exception.c:dispatch", "overflow_irq", "tick_hook: boot.smp sets it")
STACK_CALLS("kernel/report/fault.c:report_finding", "overflow_in_roll_report",
	    "fault_report_hook: boot.smp sets it")
STACK_IGNORE("crew_overflow_boot_stack", "kernel/labs/lib/recurse.c:recurse", "boot-stack:cpu*",
	     "boot.smp overflow=1 and boot.light act=3 overflow that stack on purpose")
STACK_IGNORE("overflow_own", "kernel/labs/lib/recurse.c:recurse", "permanent:cpu*",
	     "boot.smp overflow=2 overflows that stack on purpose")
STACK_IGNORE("kernel/report/exception.c:dispatch", "overflow_irq", "irq:cpu*",
	     "boot.smp overflow=3 overflows that stack on purpose")
STACK_IGNORE("kernel/report/fault.c:report_finding", "overflow_in_roll_report",
	     "irq:cpu* emergency:cpu*", "boot.smp overflow=4 overflows that stack on purpose")
STACK_MARK("boot/smp-last*", "permanent:cpu*",
	   "boot.smp overflow=2 overflows that stack on purpose")
STACK_MARK("boot/smp-last-irq.log", "irq:cpu*",
	   "boot.smp overflow=3 overflows that stack on purpose")

/* Without -icount the host's other jobs may keep a CPU from coming for so many times as long. */
#define BUSY_HOST 10

#define SGI_HERE 1 /* "I am here": each CPU to itself, and then to CPU 0 */

struct crew crew;

struct member members[NR_CPUS];
unsigned int member_count = 1;
struct stack below_last = { .name = "below-last" };

/* How many others are here or written off, and at which number CPU 0 is told. */
static unsigned int settled;
static unsigned int awaited = UINT32_MAX;

static bool second_round; /* CPU 0 alone starts whoever is left */

static uint64_t began; /* cycles */

/* --- the loader: on the 16 KiB of reset ------------------------------------------------------ */

static void settle(void *member);

/* An id that folds into nobody's index, or into another's, is no CPU. NULL: it can be one. */
static const char *misfit(uint64_t id)
{
	if (id == FDT_NONE || !mpidr_has_index(id))
		return "no-index";
	return cpus[mpidr_index(id)] && cpus[mpidr_index(id)]->first ? "duplicate" : NULL;
}

static void prepare(uint64_t id)
{
	const char *why = misfit(id);
	unsigned int index = mpidr_index(id);
	struct member *m;

	if (why) {
		crew.misfits++;
		report("[boot-lab] absent cpu=none mpidr=0x%lx why=%s", id, why);
		return;
	}
	if (index > crew.last)
		crew.last = index;
	m = &members[index ? member_count++ : 0];
	*m = (struct member){ .id = id, .cpu = permanent_cpu(index, settle, m) };
	if (!m->cpu)
		panic("no-room-for-cpus");
}

static void prepare_all(void)
{
	for (unsigned int i = 0; i < smp_cpus && i < NR_CPUS; i++)
		prepare(smp_ids[i]);
	if (smp_cpus > NR_CPUS) {
		crew.misfits += smp_cpus - NR_CPUS;
		report("[boot-lab] absent cpu=none count=%u why=no-room", smp_cpus - NR_CPUS);
	}
	if (!members[0].cpu)
		panic("boot-cpu-not-in-tree");
}

/* The loader's own use of a CPU. The firmware has it down as started: whoever asks again is refused. */
static void take_one(void)
{
	for (unsigned int i = 1; i < member_count; i++)
		if (members[i].cpu->index == crew.taken)
			psci_cpu_on(members[i].id, light_start, members[i].cpu->first);
}

void crew_boot(void)
{
	if (crew.boot_stack & (crew.boot_stack - 1))
		end("bad-args why=no-power-of-two key=stack : 256, 512 or 1024 bytes");
	permanent_layout((struct permanent_layout){ crew.boot_stack, crew.stack });
	if (!permanent_map_block())
		panic("no-boot-stacks");
	prepare_all();
	if (crew.last < NR_CPUS - 1) /* below the last of all is no stack but the block's guard */
		permanent_paint_below(crew.last, &below_last);
	light_entry.top = BOOT_STACKS_TOP;
	light_entry.size = crew.boot_stack;
	light_entry.vectors = (uintptr_t)(protected(PROTECT_LIGHT) ? light_vectors : early_vectors);
	light_entry.main = crew.begin;
	take_one();
	cycles_start();
	began = cycles();
	light_enter(members[0].cpu->first);
}

/* --- every CPU, on its boot stack ------------------------------------------------------------ */

void crew_guard_boot_stack(const struct cpu *cpu)
{
	const struct stack *s = &cpu->boot_stack;

	if (protected(PROTECT_WATCH))
		watch_arm(s->base - s->guard, s->guard, WATCH_ACCESSES);
}

void crew_overflow_boot_stack(const struct cpu *cpu)
{
	recurse(cpu->boot_stack.base - crew.past);
}

/* --- every CPU, on its permanent stack ------------------------------------------------------- */

void crew_park(void)
{
	irq_save();
	for (;;)
		wfi();
}

static void overflow_permanent(void)
{
	recurse(current()->stack.base - crew.past);
	thread_yield(); /* where guard words are looked at */
	report("[boot-lab] came back cpu=%u", cpu_local()->index);
}

/* Instead of a tick, on the exception stack. */
static void overflow_irq(void)
{
	recurse(cpu_local()->irq_stack.base - crew.past);
	end("survived");
}

/* The report of a fault faults, and the report of that, on the emergency stack, overflows it. */
static void overflow_in_roll_report(void)
{
	static bool again;
	uintptr_t floor = cpu_local()->emergency_stack.base - crew.past;

	if (!again) {
		again = true;
		write_null();
	}
	report("[boot-lab] recursing cpu=%u until=%pA", cpu_local()->index, (void *)floor);
	recurse(floor);
	end("survived");
}

static void overflow_emergency(void)
{
	fault_report_hook = overflow_in_roll_report;
	write_null();
}

static void overflow_own(void)
{
	if (crew.overflow == OVERFLOW_EMERGENCY)
		overflow_emergency();
	if (crew.overflow == OVERFLOW_PERMANENT)
		overflow_permanent();
	if (crew.overflow != OVERFLOW_IRQ)
		return;
	tick_hook = overflow_irq;
	gic_enable(INTID_TIMER_PHYSICAL, false);
	timer_fire_in(0);
	wfi();
}

/* One interrupt, so that the exception stack is not only there but was used. */
static void take_interrupt(void)
{
	uint64_t flags = irq_save();

	gic_init_cpu();
	gic_enable(SGI_HERE, false);
	gic_send(cpu_local()->index, SGI_HERE);
	wfi();
	irq_restore(flags);
}

static void check_boot_stack(const struct cpu *cpu)
{
	if (!protected(PROTECT_SENTINEL) || stack_guard_words_ok(&cpu->boot_stack))
		return;
	report("[boot-lab] guard words overwritten stack=%s", cpu->boot_stack.name);
	end("caught by=sentinel");
}

/* So many CPUs more are here or will never be. Whoever is the last tells CPU 0. */
static void count_settled(unsigned int more)
{
	/*
	 * First settled, then awaited; await() has them the other way round: one of the two sees
	 * the last.
	 */
	if (__atomic_add_fetch(&settled, more, __ATOMIC_SEQ_CST) >=
	    __atomic_load_n(&awaited, __ATOMIC_SEQ_CST))
		gic_send(0, SGI_HERE);
}

static bool start(struct member *m)
{
	int error;

	if (__atomic_exchange_n(&m->asked, true, __ATOMIC_ACQ_REL))
		return true;
	error = psci_cpu_on(m->id, light_start, m->cpu ? m->cpu->first : NULL);
	m->refused = error && crew.heed ? psci_error_name(error) : NULL;
	return !m->refused;
}

/*
 * Who is here starts others: number p starts p + 1, p + 2, p + 4, … , each power of two that is
 * larger than p. So the number of CPUs doubles with each step, and 256 take 8. One that is refused
 * is written off with all that it would have started: CPU 0 asks for those itself, in a second
 * round.
 */
static void start_others(unsigned int p)
{
	unsigned int step = 1;

	while (step <= p)
		step *= 2;
	for (; p + step < member_count && !READ_ONCE(second_round); step *= 2) {
		unsigned int child = p + step;

		if (!start(&members[child]))
			count_settled((member_count - 1 - child) / (2 * step) + 1);
	}
}

__attribute__((noreturn)) static void lead(void);

/* What each CPU moved for: its thread's function. */
static void settle(void *member)
{
	struct member *m = member;

	check_boot_stack(m->cpu);
	take_interrupt();
	m->here = true;
	if (m == members)
		lead();
	start_others((unsigned int)(m - members));
	if (m->cpu->index == crew.last)
		overflow_own();
	count_settled(1);
	crew_park();
}

/* --- CPU 0 ----------------------------------------------------------------------------------- */

/* An affinity no CPU of this board has: Aff2 is never used. */
#define NOBODY 0x10000

static void add_nobody(void)
{
	if (crew.absent && member_count < NR_CPUS)
		members[member_count++] = (struct member){ .id = NOBODY };
}

/*
 * Those that nobody came to ask for, as who should have is not here. How many have to settle now.
 */
static unsigned int start_rest(void)
{
	unsigned int started = 0;

	WRITE_ONCE(second_round, true);
	for (unsigned int i = 1; i < member_count; i++)
		if (!members[i].asked && start(&members[i]))
			started++;
	return started;
}

/* The next interrupt, which stays masked: is it the deadline's? */
static bool deadline_passed(void)
{
	unsigned int intid;

	wfi();
	intid = gic_acknowledge();
	if (intid == INTID_TIMER_PHYSICAL)
		timer_stop();
	if (intid <= INTID_TIMER_PHYSICAL)
		gic_end(intid);
	return intid == INTID_TIMER_PHYSICAL;
}

/* Until so many have settled, or the time is over. Nobody is waited for one by one. */
static void await(unsigned int expected)
{
	uint64_t flags = irq_save();

	if (crew.deadline) {
		uint64_t ms = crew.deadline * (timer_is_exact() ? 1 : BUSY_HOST);

		timer_fire_in(ms * (sysreg_read(cntfrq_el0) / 1000));
		/* What is waited for is not what hangs. */
		lab_takes(ms);
		gic_enable(INTID_TIMER_PHYSICAL, false);
	}
	__atomic_store_n(&awaited, expected, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&settled, __ATOMIC_SEQ_CST) < expected && !deadline_passed())
		;
	timer_stop();
	irq_restore(flags);
}

static void gather(void)
{
	unsigned int before;

	add_nobody();
	start_others(0);
	await(member_count - 1);
	before = __atomic_load_n(&settled, __ATOMIC_SEQ_CST);
	await(before + start_rest());
}

static void lead(void)
{
	gather();
	if (!crew.last)
		overflow_own();
	crew_roll(cycles() - began);
}
