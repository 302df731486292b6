/* Grow labs: the check itself, patched in and out while text stays read-only, and while another CPU runs it. */
#include "arch/mmu.h"
#include "arch/sysreg.h"
#include "arch/timer.h"
#include "base/stack_note.h"
#include "lab/lab.h"
#include "labs/grow/grower.h"
#include "labs/lib/routines.h"
#include "proc/patch.h"
#include "proc/smp.h"
#include "report/report.h"

STACK_IGNORE("lab_grow_patch", "kernel/labs/grow/grow_deep.c:deep_run", "thread:lab",
	     "grow.patch: one frame deep, to show that the patched function runs")

LAB_WORDS(patch_yes_word, "no", "yes")

/* Writable mappings of the page that text is in: none may be left behind. */
static unsigned int aliases(const void *text)
{
	uintptr_t page = ALIGN_DOWN(virt_to_phys((uintptr_t)text), PAGE_SIZE);
	unsigned int found = 0;

	for (uintptr_t va = GROW_WINDOW; va < GROW_WINDOW + GROW_WINDOW_SIZE; va += PAGE_SIZE)
		found += mmu_page_of(va) == page;
	return found;
}

#define PATCH_PARAMS(P)                                                                            \
	P(alias, 1, 0, 1, "write through a mapping of its own, or where the code runs",            \
	  .name = patch_yes_word)

LAB(grow, patch, "a check is patched into a function and out again", PATCH_PARAMS)
{
	const uint32_t *entry = (const uint32_t *)grow_deep_patched;
	uint32_t before = entry[1];

	grower_patch(grow_deep_patched);
	report("[grow-lab] patched in check=%lu text_writable=%s aliases=%u",
	       patch_check(grow_deep_patched),
	       mmu_accessible((uintptr_t)entry, true) ? "yes" : "no", aliases(entry));
	deep_run(grow_deep_patched, 1);
	if (!a->alias)
		FAULT_SITE(grow_patch, "str %w0, [%1]", "r"(before), "r"(&entry[1]));
	if (patch_out(grow_deep_patched))
		panic("not-patched-out");
	report("[grow-lab] patched out check=%lu as_before=%s", patch_check(grow_deep_patched),
	       entry[1] == before ? "yes" : "no");
	deep_run(grow_deep_patched, 1);
	end(a->alias ? "ok" : "survived");
}

/* --- while another CPU runs it -------------------------------------------------------------------- */

#define INTERVALS                                                                                  \
	7 /* the longest, in counts of the timer; odd, so that in and out come after each */
#define PHASES 17

static struct {
	uint64_t calls, checked, wrong;
} made;
static uint32_t no_more;

/* One frame of it. Did the call go through the check? */
static uint64_t call_bare(bool *checked)
{
	struct deep_link link = { .depth = 1 };
	uintptr_t through;
	uint64_t returned = lab_call_bare(0, &link, &through);

	*checked = through == (uintptr_t)grow_deep_patched + 2 * sizeof(uint32_t);
	return returned;
}

static void call_until_told(__attribute__((unused)) void *unused)
{
	while (!__atomic_load_n(&no_more, __ATOMIC_ACQUIRE)) {
		bool checked;
		uint64_t returned = call_bare(&checked);

		made.checked += checked;
		WRITE_ONCE(made.calls, made.calls + 1);
		made.wrong += returned != made.calls;
		/* QEMU's one thread would stay here until the next deadline, and that may have been met. */
		cpu_relax();
	}
}

/* A count of the timer is 16 instructions under icount: begin at each of them in turn. */
static void pass_time(uint64_t n)
{
	for (uint64_t left = n % PHASES; left; left--)
		__asm__ volatile("nop");
}

/*
 * Asleep until the timer fires, longer each time, and until the other CPU has called what is there now at
 * least once: it may be in the middle of a call, so two must end. Then it is met at any instruction.
 */
static void await_calls(uint64_t n)
{
	uint64_t seen = READ_ONCE(made.calls);
	uint64_t counts = 1 + n % INTERVALS;

	do {
		pass_time(n);
		timer_fire_in(counts);
		wfi();
		counts += INTERVALS;
	} while (READ_ONCE(made.calls) < seen + 2);
}

/* Masked, as the tick need only wake us. */
static const char *patch_rounds(uint64_t rounds)
{
	uint64_t flags = irq_save();
	const char *why = NULL;

	for (uint64_t n = 0; n < rounds && !why; n++) {
		await_calls(n);
		why = n % 2 ? patch_out(grow_deep_patched) : patch_in(grow_deep_patched);
	}
	timer_start();
	irq_restore(flags);
	return why;
}

#define HOST_ROUND_MS 10

#define RUNNING_PARAMS(P)                                                                          \
	P(rounds, 2000, 2, 20000, "times that it is patched, in and out by turns")                 \
	P(prepared, 1, 0, 1, "once before, while no other CPU runs", .name = patch_yes_word)

LAB(grow, patch_running, "a check is patched in and out while another CPU calls the function",
    RUNNING_PARAMS)
{
	struct thread *t;
	const char *why;

	if (a->prepared && (patch_in(grow_deep_patched) || patch_out(grow_deep_patched)))
		panic("not-patched");
	t = smp_start(1, call_until_told, NULL);
	if (!t)
		end("bad-args why=no-cpu : CPU 1 did not start; boot with -smp 2 or more");
	/* Without -icount each round waits until the host has run the other CPU. */
	if (!timer_is_exact())
		lab_takes(a->rounds * HOST_ROUND_MS);
	why = patch_rounds(a->rounds);
	__atomic_store_n(&no_more, 1, __ATOMIC_RELEASE);
	smp_join(t, NULL);
	report("[grow] called with=%lu without=%lu lost=%lu wrong=%lu", made.checked,
	       made.calls - made.checked, made.calls - deep_check.frames,
	       made.wrong + !deep_right());
	if (why)
		end("caught by=patch-alone : the function is not ready, and is not touched: %s",
		    why);
	if (!made.checked || made.checked == made.calls)
		panic("never-met");
	if (made.calls != deep_check.frames || made.wrong || !deep_right())
		panic("calls-went-wrong");
}
