/* See prologue.h. One row an instruction: what its fixed bits are, and what it does to the frame. */
#include "report/prologue.h"

/* Bits [low, low + width) of an instruction. */
static uint32_t bits(uint32_t instruction, unsigned int low, unsigned int width)
{
	return instruction >> low & ((1U << width) - 1);
}

/* ADD, SUB (immediate): 12 bits, shifted by 12 if bit 22 is set. */
static size_t immediate(uint32_t i)
{
	return (size_t)bits(i, 10, 12) << (bits(i, 22, 1) ? 12 : 0);
}

/* STP, STR with write-back of SP: how far the signed field moves it down; 0 if it moves it up. */
static size_t pushed(uint32_t field, unsigned int width, size_t unit)
{
	return field >> (width - 1) ? ((1UL << width) - field) * unit : 0;
}

static void take(struct prologue *p, size_t bytes)
{
	p->taken += bytes;
}

static void on_set_fp(struct prologue *p, uint32_t i)
{
	if (p->made)
		return;
	p->made = true;
	p->record = p->taken - immediate(i);
}

static void on_sub_sp(struct prologue *p, uint32_t i)
{
	take(p, immediate(i));
}

static void on_push_pair(struct prologue *p, uint32_t i)
{
	take(p, pushed(bits(i, 15, 7), 7, 8));
}

static void on_push_one(struct prologue *p, uint32_t i)
{
	take(p, pushed(bits(i, 12, 9), 9, 1));
}

static void on_movz(struct prologue *p, uint32_t i)
{
	p->constant_in = bits(i, 0, 5);
	p->constant = (uint64_t)bits(i, 5, 16) << 16 * bits(i, 21, 2);
}

static void on_movk(struct prologue *p, uint32_t i)
{
	unsigned int shift = 16 * bits(i, 21, 2);

	if (p->constant_in == bits(i, 0, 5))
		p->constant = (p->constant & ~(0xffffUL << shift)) | (uint64_t)bits(i, 5, 16)
									     << shift;
}

static void on_sub_sp_register(struct prologue *p, uint32_t i)
{
	if (p->constant_in == bits(i, 16, 5))
		take(p, p->constant);
	else
		p->over = p->made; /* alloca */
}

static void on_sub_from_sp(struct prologue *p, uint32_t i)
{
	p->target_in = bits(i, 0, 5);
	p->target = p->taken + immediate(i);
}

static void on_sub_register_from_sp(struct prologue *p, uint32_t i)
{
	if (p->constant_in != bits(i, 16, 5))
		return;
	p->target_in = bits(i, 0, 5);
	p->target = p->taken + p->constant;
}

/* Right after a step down, and not with the target: a loop of clang's that probes an alloca. */
static void on_compare_sp(struct prologue *p, uint32_t i)
{
	p->at_target = p->target_in == bits(i, 16, 5);
	if (!p->made || p->at_target || p->before == p->taken)
		return;
	p->taken = p->before;
	p->over = true;
}

/* A loop of probes ends where SP has come to its target. Any other branch ends the prologue. */
static void on_branch_if(struct prologue *p, __attribute__((unused)) uint32_t i)
{
	if (p->at_target)
		p->taken = p->target;
	else
		p->over = p->made;
	p->at_target = false;
}

static void on_end(struct prologue *p, __attribute__((unused)) uint32_t i)
{
	p->over = p->made;
}

static const struct {
	uint32_t mask, value;
	void (*act)(struct prologue *p, uint32_t i);
} rows[] = {
	{ 0xff8003ff, 0x910003fd, on_set_fp },		     /* add x29, sp, #n */
	{ 0xff8003ff, 0xd10003ff, on_sub_sp },		     /* sub sp, sp, #n */
	{ 0xffc003e0, 0xa98003e0, on_push_pair },	     /* stp x, x, [sp, #-n]! */
	{ 0xffe00fe0, 0xf8000fe0, on_push_one },	     /* str x, [sp, #-n]! */
	{ 0xffe00fe0, 0xf80007e0, on_push_one },	     /* str x, [sp], #-n: clang's probe */
	{ 0xff800000, 0xd2800000, on_movz },		     /* mov x, #n */
	{ 0xff800000, 0xf2800000, on_movk },		     /* movk x, #n, lsl #s */
	{ 0xffe0ffff, 0xcb2063ff, on_sub_sp_register },	     /* sub sp, sp, x */
	{ 0xff8003e0, 0xd10003e0, on_sub_from_sp },	     /* sub x, sp, #n */
	{ 0xffe0ffe0, 0xcb2063e0, on_sub_register_from_sp }, /* sub x, sp, x */
	{ 0xffe0ffff, 0xeb2063ff, on_compare_sp },	     /* cmp sp, x */
	{ 0xff000010, 0x54000000, on_branch_if },	     /* b.cond */
	{ 0xff8003ff, 0x910003ff, on_end }, /* add sp, sp, #n; mov sp, sp is none */
	{ 0xff8003ff, 0x910003bf, on_end }, /* add sp, x29, #n; mov sp, x29 */
	{ 0xff8003ff, 0xd10003bf, on_end }, /* sub sp, x29, #n */
	{ 0xffc003e0, 0xa8c003e0, on_end }, /* ldp x, x, [sp], #n */
	{ 0x7c000000, 0x14000000, on_end }, /* b, bl */
	{ 0x7c000000, 0x34000000, on_end }, /* cbz, cbnz, tbz, tbnz */
	{ 0xfe000000, 0xd6000000, on_end }, /* br, blr, ret, eret */
};

void prologue_step(struct prologue *p, uint32_t instruction)
{
	size_t before = p->taken;

	for (size_t n = 0; n < ARRAY_SIZE(rows) && !p->over; n++) {
		if ((instruction & rows[n].mask) != rows[n].value)
			continue;
		rows[n].act(p, instruction);
		break;
	}
	p->before = before;
}

bool prologue_is_undone_by(uint32_t instruction)
{
	return (instruction & 0xfe407fff) == 0xa8407bfd;
}

bool prologue_ends_line(uint32_t instruction)
{
	bool through_register = (instruction & 0xfe000000) == 0xd6000000;

	/* b; br, ret, eret, but not blr */
	return (instruction & 0xfc000000) == 0x14000000 ||
	       (through_register && bits(instruction, 21, 3) != 1);
}
