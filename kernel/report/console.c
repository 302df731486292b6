/* See console.h. */
#include "report/console.h"

#include "base/cpu.h"

#include "arch/gic.h"
#include "arch/pl011.h"
#include "arch/sysreg.h"
#include "arch/virt.h"
#include "base/spinlock.h"

static struct spinlock lock = SPINLOCK_SWITCHED(PROTECT_CONSOLE_LOCK);

/* A line is being written; last.S reads it too. */
uint32_t console_mid_line;

void console_init(void)
{
	pl011_init();
}

static const struct cpu *last_writer;

void console_leave_to_me(void)
{
	WRITE_ONCE(last_writer, cpu_local());
}

void console_write(const char *bytes, size_t length)
{
	uint64_t flags = spin_lock(&lock);

	/* Behind the machine's last line nothing is printed: it would be cut off by the power. */
	if (READ_ONCE(last_writer) && READ_ONCE(last_writer) != cpu_local()) {
		spin_unlock(&lock, flags);
		return;
	}
	WRITE_ONCE(console_mid_line, 1);
	for (size_t i = 0; i < length; i++)
		pl011_putc(bytes[i]);
	WRITE_ONCE(console_mid_line, 0);
	spin_unlock(&lock, flags);
}

void console_break_lock(void)
{
	if (spin_break(&lock) && READ_ONCE(console_mid_line)) {
		pl011_putc('~');
		pl011_putc('\n');
		WRITE_ONCE(console_mid_line, 0);
	}
}

/* With interrupts masked a pending one still ends WFI: nothing is lost between the look and the sleep. */
static char wait_for_byte(void)
{
	int c;

	while ((c = pl011_getc()) < 0) {
		pl011_interrupt_on_receive(true);
		c = pl011_getc();
		if (c >= 0)
			break;
		wfi();
	}
	return (char)c;
}

bool console_read_line(char *buffer, size_t size)
{
	uint64_t flags = irq_save();
	size_t n = 0;
	bool fits = true;

	gic_enable(INTID_UART, false);
	for (;;) {
		char c = wait_for_byte();

		if (c == '\n' || c == '\r')
			break;
		if (n + 1 < size)
			buffer[n++] = c;
		else
			fits = false;
	}
	buffer[n] = '\0';
	pl011_interrupt_on_receive(false);
	gic_disable(INTID_UART);
	irq_restore(flags);
	return fits;
}
