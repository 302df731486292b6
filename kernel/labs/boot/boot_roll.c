/* The roll: who is here, on which stacks, who is not, and what that makes of the boot. */
#include "labs/boot/boot_crew.h"
#include "proc/smp.h"
#include "report/report.h"

/* By name and id; how many: of those that were refused, or of those that did not come. */
static unsigned int report_absent(bool refused)
{
	unsigned int absent = 0;

	for (unsigned int i = 0; i < member_count; i++) {
		const struct member *m = &members[i];

		if (m->here || refused != (m->refused != NULL))
			continue;
		absent++;
		report("[boot-lab] absent cpu=%s mpidr=0x%lx why=%s : %s",
		       m->cpu ? m->cpu->first->name : "none", m->id,
		       refused ? m->refused : "silent",
		       refused ? "the firmware refused" : "it was started and did not come");
	}
	return absent;
}

/* A stack of a kind, of each CPU that is here. Equal ones that follow each other share a record. */
struct stack_run {
	const struct stack *first;
	size_t used;
	bool sound;
	unsigned int cpus;
};

static void flush(struct stack_run *run)
{
	const struct stack *s = run->first;

	if (!run->cpus)
		return;
	record_begin();
	record_add("[stack] %s used=%lu size=%lu margin=%lu guard=%s", s->name, run->used, s->size,
		   s->size - run->used, run->sound ? "ok" : "bad");
	if (run->cpus > 1)
		record_add(" cpus=%u", run->cpus);
	record_end();
	run->cpus = 0;
}

static void add(struct stack_run *run, const struct stack *s)
{
	size_t used = stack_high_watermark(s);
	bool sound = stack_guard_words_ok(s);

	if (run->cpus && (run->used != used || run->sound != sound))
		flush(run);
	if (!run->cpus)
		*run = (struct stack_run){ s, used, sound, 0 };
	run->cpus++;
}

enum kind { STACK_BOOT, STACK_PERMANENT, STACK_EXCEPTION, STACK_EMERGENCY, NR_KINDS };

static const struct stack *stack_of(const struct cpu *cpu, enum kind kind)
{
	const struct stack *const stacks[NR_KINDS] = {
		[STACK_BOOT] = &cpu->boot_stack,
		[STACK_PERMANENT] = &cpu->first->stack,
		[STACK_EXCEPTION] = &cpu->irq_stack,
		[STACK_EMERGENCY] = &cpu->emergency_stack,
	};

	return stacks[kind];
}

static void report_all(enum kind kind)
{
	struct stack_run run = { .cpus = 0 };

	for (unsigned int i = 0; i < member_count; i++)
		if (members[i].here)
			add(&run, stack_of(members[i].cpu, kind));
	flush(&run);
}

/*
 * What nobody noticed, with protections switched off: guard words gone, a neighbour's stack
 * written to.
 */
static bool damaged(void)
{
	for (unsigned int i = 0; i < member_count; i++)
		for (int kind = 0; kind < NR_KINDS && members[i].here; kind++)
			if (!stack_guard_words_ok(stack_of(members[i].cpu, (enum kind)kind)))
				return true;
	return crew.astray || stack_high_watermark(&below_last);
}

static unsigned int count_here(void)
{
	unsigned int here = 0;

	for (unsigned int i = 0; i < member_count; i++)
		here += members[i].here;
	return here;
}

static void report_roll(uint64_t cycles, bool complete)
{
	record_begin();
	record_add("[boot-lab] roll cpus=%u here=%u", smp_cpus, count_here());
	if (complete) /* else it is the deadline that was measured */
		record_add(" instructions=%lu", cycles);
	record_end();
}

/* What nobody noticed is damage all the same, and is looked at before the lab touches anything. */
void crew_roll(uint64_t cycles)
{
	unsigned int refused = report_absent(true);
	unsigned int silent = report_absent(false);
	bool broken = damaged();

	report_roll(cycles, !refused && !silent);
	for (int kind = 0; kind < NR_KINDS; kind++)
		report_all((enum kind)kind);
	if (crew.finish)
		crew.finish();
	if (silent || crew.misfits)
		end("caught by=roll-call");
	if (refused)
		end("caught by=psci");
	end(broken ? "survived" : "ok");
}
