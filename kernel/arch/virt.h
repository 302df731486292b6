/*
 * QEMU's `virt` board: where its devices and its RAM are (hw/arm/virt.c, base_memmap), and how the
 * kernel sees them. The one place for a physical address. Included by C, assembly and kernel.ld.
 *
 * Virtual memory (39 bits, TTBR1; TTBR0 is off, so every address from 0 up faults):
 *
 *   KVA_BASE + pa         everything physical: RAM, the image inside it, devices
 *   STACK_WINDOW …        stacks made at run time, one unmapped guard between neighbours
 *   POOL_WINDOW …         blocks of pools that have pages or tags of their own (mem/pool_window.h)
 *   PERMANENT_STACKS …    boot.* labs: a slot for each CPU, guards, its three stacks
 *   BOOT_STACKS …         boot.* labs: 256 times 1 KiB, CPU 0's on top
 *   GROW_WINDOW …         stacks that grow: in place (mem/growspace.c), or by moving on
 */
#ifndef ARCH_VIRT_H
#define ARCH_VIRT_H

#define KVA_BASE 0xffffff8000000000
#define STACK_WINDOW 0xffffffe000000000
#define STACK_WINDOW_PAGES 16384
#define POOL_WINDOW 0xffffffe800000000
#define POOL_WINDOW_PAGES 1024
#define PERMANENT_STACKS 0xfffffff000000000
/* One page short of the end of the address space, so that there is a guard above too. */
#define BOOT_STACKS_TOP 0xfffffffffffff000
#define BOOT_STACK_RESERVED 1024
#define BOOT_STACKS (BOOT_STACKS_TOP - NR_CPUS * BOOT_STACK_RESERVED)
#define GROW_WINDOW 0xffffffec00000000
#define GROW_WINDOW_SIZE 0x8800000 /* 136 MiB: two stacks of 64 MiB, and some small ones */

#define RAM_BASE 0x40000000
/* A bare ELF gets its device tree at the start of RAM; the image starts behind the 2 MiB kept for it. */
#define DTB_BASE RAM_BASE
#define DTB_MAX 0x200000
#define IMAGE_BASE 0x40200000

#define DEVICES_BASE 0x08000000
#define DEVICES_SIZE 0x01200000
#define GICD_BASE 0x08000000
#define GICR_BASE 0x080a0000
#define GICR_CPUS 123
#define GICR_SIZE (GICR_CPUS * 0x20000)
#define UART_BASE 0x09000000
#define SECURE_GPIO_BASE 0x090b0000

/* Interrupt numbers: PPIs of the generic timer, SPI 1 for the UART. */
#define INTID_TIMER_VIRTUAL 27
#define INTID_TIMER_PHYSICAL 30
#define INTID_UART 33

#define NR_CPUS 256

/* Sizes the seed documents fix. */
#define BOOT_STACK_SIZE 0x4000
#define IRQ_STACK_SIZE 0x4000
#define EMERGENCY_STACK_SIZE 0x2000
#define EARLY_HEAP_SIZE 0x100000

#endif
