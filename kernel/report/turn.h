/*
 * Whose turn it is to report a fault. Several CPUs can fault at one moment: one at a time reports,
 * whole, the lowest index first, and only when all have reported does the machine end. Nobody is
 * waited for longer than turn_ms: then the report goes on and names the CPU that is absent. fault.c
 * calls this.
 */
#ifndef REPORT_TURN_H
#define REPORT_TURN_H

#include "arch/types.h"

/* How long anybody is waited for, guest ms: 200, unless a lab knows better. */
extern uint32_t turn_ms;

/* How many CPUs will fault at once: the first to come waits for the others. A lab says so; once. */
extern uint32_t turn_rendezvous;

/* Come back when it is this CPU's turn, or those before it took too long. */
void turn_await(void);

/* [EXC] absent cpu=N for each CPU that turn_await() gave up. */
void turn_report_absent(void);

/*
 * This CPU has reported. `ends`: it is about to end the machine, and first waits for the others'
 * reports.
 */
void turn_pass(bool ends);

#endif
