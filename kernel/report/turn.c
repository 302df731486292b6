/* See turn.h. */
#include "report/turn.h"

#include "arch/timer.h"
#include "base/cpu.h"
#include "base/protect.h"
#include "report/report.h"

uint32_t turn_rendezvous = 1;
uint32_t turn_ms = 200;

enum place { NOWHERE, HERE, ABSENT };
static uint8_t places[NR_CPUS];
static uint32_t here;	  /* how many are HERE */
static uint32_t reporter; /* whose turn it is: CPU index + 1, 0: nobody's */

static bool is_here(unsigned int index)
{
	return __atomic_load_n(&places[index], __ATOMIC_ACQUIRE) == HERE;
}

static bool anybody_here(unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		if (is_here(i))
			return true;
	return false;
}

/* Once all have met, whoever is here has its turn, the lowest index first. */
static bool take_turn(unsigned int me)
{
	uint32_t nobody = 0;

	if (__atomic_load_n(&here, __ATOMIC_ACQUIRE) <
	    __atomic_load_n(&turn_rendezvous, __ATOMIC_ACQUIRE))
		return false;
	if (anybody_here(0, me) || !__atomic_compare_exchange_n(&reporter, &nobody, me + 1, false,
								__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&turn_rendezvous, 1, __ATOMIC_RELEASE);
	return true;
}

static bool was_started(unsigned int index)
{
	return cpus[index] && cpus[index]->irq_stack_top;
}

/*
 * Not all have come: who has not is absent. Or all have: then it is who holds the turn, or is
 * before me.
 */
static void give_up(unsigned int me)
{
	bool all_came = here >= turn_rendezvous;

	for (unsigned int i = 0; i < NR_CPUS; i++) {
		bool awaited = all_came ? i < me || i + 1 == reporter : !is_here(i);

		if (i != me && was_started(i) && awaited && is_here(i) == all_came)
			places[i] = ABSENT;
	}
	turn_rendezvous = 1;
	reporter = 0;
}

void turn_await(void)
{
	unsigned int me = cpu_index();
	uint64_t since = sysreg_read(cntpct_el0);

	if (!protected(PROTECT_FAULT_TURN))
		return;
	__atomic_store_n(&places[me], HERE, __ATOMIC_RELEASE);
	__atomic_add_fetch(&here, 1, __ATOMIC_ACQ_REL);
	while (!take_turn(me)) {
		if (counter_ms(since) >= turn_ms) {
			give_up(me);
			since = sysreg_read(cntpct_el0);
		}
		cpu_relax();
	}
}

void turn_report_absent(void)
{
	for (unsigned int i = 0; i < NR_CPUS; i++) {
		if (places[i] != ABSENT)
			continue;
		places[i] = NOWHERE;
		report("[EXC] absent cpu=%u : it was to report a fault too, and has not in %u ms",
		       i, turn_ms);
	}
}

void turn_pass(bool ends)
{
	unsigned int me = cpu_index();
	uint64_t since = sysreg_read(cntpct_el0);

	if (!protected(PROTECT_FAULT_TURN))
		return;
	__atomic_store_n(&places[me], NOWHERE, __ATOMIC_RELEASE);
	__atomic_sub_fetch(&here, 1, __ATOMIC_ACQ_REL);
	__atomic_store_n(&reporter, 0, __ATOMIC_RELEASE);
	while (ends && anybody_here(0, NR_CPUS) && counter_ms(since) < turn_ms)
		cpu_relax();
}
