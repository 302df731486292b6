/* Tick and watchdog. See timer.h. */
#include "arch/timer.h"

#include "arch/gic.h"
#include "arch/sysreg.h"
#include "arch/virt.h"

#define ENABLE 1

static uint64_t period(void)
{
	return sysreg_read(cntfrq_el0) / TICK_HZ;
}

void timer_start(void)
{
	sysreg_write(cntp_cval_el0, sysreg_read(cntpct_el0) + period());
	sysreg_write(cntp_ctl_el0, ENABLE);
	gic_enable(INTID_TIMER_PHYSICAL, false);
}

void timer_fire_at(uint64_t count)
{
	sysreg_write(cntp_cval_el0, count);
	sysreg_write(cntp_ctl_el0, ENABLE);
	isb();
}

void timer_fire_in(uint64_t counts)
{
	timer_fire_at(sysreg_read(cntpct_el0) + counts);
}

void timer_stop(void)
{
	sysreg_write(cntp_ctl_el0, 0);
	isb();
}

unsigned long timer_next(void)
{
	/* From the last deadline, not from now: ticks do not drift. */
	uint64_t deadline = sysreg_read(cntp_cval_el0);
	uint64_t due = 1 + (sysreg_read(cntpct_el0) - deadline) / period();

	sysreg_write(cntp_cval_el0, deadline + due * period());
	isb();
	return due;
}

/* INST_RETIRED: QEMU has this event only where it counts instructions. */
#define PMCEID_INSTRUCTIONS 8

bool timer_is_exact(void)
{
	return sysreg_read(pmceid0_el0) >> PMCEID_INSTRUCTIONS & 1;
}

bool timer_ticks(void)
{
	return sysreg_read(cntp_ctl_el0) & ENABLE;
}

uint64_t counter_ms(uint64_t since)
{
	return (sysreg_read(cntpct_el0) - since) / (sysreg_read(cntfrq_el0) / 1000);
}

/* There is one watchdog, of the CPU that armed it. CNTPCT_EL0. */
static uint64_t armed_at, stood_still;

void timer_pause(struct timer_pause *p)
{
	p->tick = timer_ticks();
	p->watchdog = sysreg_read(cntv_ctl_el0) & ENABLE;
	p->left = sysreg_read(cntv_cval_el0) - sysreg_read(cntvct_el0);
	p->since = sysreg_read(cntpct_el0);
	timer_stop();
	watchdog_arm(0);
}

void timer_resume(const struct timer_pause *p)
{
	if (p->tick)
		timer_start();
	if (!p->watchdog)
		return;
	stood_still += sysreg_read(cntpct_el0) - p->since;
	sysreg_write(cntv_cval_el0, sysreg_read(cntvct_el0) + p->left);
	sysreg_write(cntv_ctl_el0, ENABLE);
}

void watchdog_arm(uint64_t ms)
{
	if (!ms) {
		sysreg_write(cntv_ctl_el0, 0);
		isb();
		return;
	}
	armed_at = sysreg_read(cntpct_el0);
	stood_still = 0;
	sysreg_write(cntv_cval_el0,
		     sysreg_read(cntvct_el0) + ms * (sysreg_read(cntfrq_el0) / 1000));
	sysreg_write(cntv_ctl_el0, ENABLE);
	gic_enable(INTID_TIMER_VIRTUAL, true);
}

struct watchdog_time watchdog_time(void)
{
	return (struct watchdog_time){
		.after = counter_ms(armed_at),
		.paused = stood_still / (sysreg_read(cntfrq_el0) / 1000),
	};
}
