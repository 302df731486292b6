/* The initrd that is used when QEMU was given none: every program of kernel/user. */
	.section .rodata.initrd, "a"
	.balign	16
	.global	initrd_default, initrd_default_end
initrd_default:
	.incbin INITRD
initrd_default_end:
