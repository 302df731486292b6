// The cheapest machine there is: its first instruction powers it off. What this costs is the floor.
	.globl	_start
_start:
	movz	w0, #0x8400, lsl #16
	movk	w0, #0x0008
	hvc	#0
