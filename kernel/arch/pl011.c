/* Arm PrimeCell UART (PL011, DDI 0183), polled. */
#include "arch/pl011.h"

#include "arch/mmu.h"

enum {
	DR = 0x00,
	FR = 0x18,
	LCR_H = 0x2c,
	CR = 0x30,
	IMSC = 0x38,
	ICR = 0x44,
};

#define FR_RXFE (1U << 4)
#define FR_TXFF (1U << 5)
#define LCR_H_8N1_FIFO 0x70
#define CR_ENABLE_RX_TX 0x301
#define INT_RX (1U << 4)
#define INT_RX_TIMEOUT (1U << 6)

static volatile uint32_t *reg(unsigned int offset)
{
	return phys_to_virt(UART_BASE + offset);
}

void pl011_init(void)
{
	*reg(CR) = 0;
	*reg(IMSC) = 0;
	*reg(LCR_H) = LCR_H_8N1_FIFO;
	*reg(CR) = CR_ENABLE_RX_TX;
}

void pl011_putc(char c)
{
	while (*reg(FR) & FR_TXFF)
		;
	*reg(DR) = (unsigned char)c;
}

int pl011_getc(void)
{
	return *reg(FR) & FR_RXFE ? -1 : (int)(*reg(DR) & 0xff);
}

void pl011_interrupt_on_receive(bool on)
{
	*reg(ICR) = INT_RX | INT_RX_TIMEOUT;
	*reg(IMSC) = on ? INT_RX | INT_RX_TIMEOUT : 0;
}
