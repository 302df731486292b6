/* The serial line: whole lines out, under one lock; bytes in, polled. */
#ifndef REPORT_CONSOLE_H
#define REPORT_CONSOLE_H

#include "arch/types.h"

void console_init(void);

/* From now on only this CPU writes: it is about to end the machine. */
void console_leave_to_me(void);

/* Write length bytes in one go: no other context's bytes come between. */
void console_write(const char *bytes, size_t length);

/*
 * This CPU is in a fault report: if it held the lock, it will not give it back. A line that was cut
 * short by the fault ends in '~'.
 */
void console_break_lock(void);

/*
 * Read a line (without its end) into buffer, at most size - 1 bytes, and sleep until it is there.
 * The caller has stopped the tick. False if the line was longer; it is then read to its end and dropped.
 */
bool console_read_line(char *buffer, size_t size);

#endif
