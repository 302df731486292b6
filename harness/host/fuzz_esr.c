/*
 * arch/esr.c: what a syndrome says, against the Arm ARM's tables in other words: fields by division, classes
 * and codes by lists. QEMU never sets FnV, so that a FAR that is not valid is to be seen here alone.
 */
#include "host.h"

#include <string.h>

#include "arch/esr.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

#define FIELD(esr, low, bits) ((esr) / (1UL << (low)) % (1UL << (bits)))

static const unsigned int data_aborts[] = { 0x24, 0x25 };
static const unsigned int instruction_aborts[] = { 0x20, 0x21 };
static const unsigned int pc_alignment[] = { 0x22 };
static const unsigned int named_classes[] = { 0x00, 0x01, 0x07, 0x0e, 0x15, 0x18, 0x1c, 0x20,
					      0x21, 0x22, 0x24, 0x25, 0x26, 0x2f, 0x35, 0x3c };
static const unsigned int named_codes[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x09,
					    0x0a, 0x0b, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x21 };

#define IS_IN(list, number) is_in(list, sizeof(list) / sizeof((list)[0]), number)

static bool is_in(const unsigned int *list, size_t n, uint64_t number)
{
	while (n--)
		if (list[n] == number)
			return true;
	return false;
}

static bool ends_in(const char *name, char last)
{
	return name && name[strlen(name) - 1] == last;
}

static void check(uint64_t esr)
{
	uint64_t class = FIELD(esr, 26, 6), code = FIELD(esr, 0, 6);
	bool data = IS_IN(data_aborts, class), instruction = IS_IN(instruction_aborts, class);
	bool has_level = code < 0x10;

	require(esr_class(esr) == class && esr_status(esr) == code, "the fields");
	require(esr_immediate(esr) == FIELD(esr, 0, 16), "what stands behind brk");
	require(esr_status_kind(esr) == (has_level ? code - code % 4 : code), "without its level");
	require(esr_is_data_abort(esr) == data, "data aborts, of both levels");
	require(esr_is_instruction_abort(esr) == instruction, "instruction aborts");
	require(esr_is_write(esr) == (data && FIELD(esr, 6, 1) && !FIELD(esr, 8, 1)),
		"a write, and no cache maintenance, which says so too");
	require(esr_far_valid(esr) == (IS_IN(pc_alignment, class) ||
				       ((data || instruction) && !FIELD(esr, 10, 1))),
		"FAR is valid unless FnV is set");
	require(!esr_class_name(esr) == !IS_IN(named_classes, class), "no class is guessed");
	require(!esr_status_name(esr) == !((data || instruction) && IS_IN(named_codes, code)),
		"no code is guessed");
	if (esr_status_name(esr) && has_level)
		require(ends_in(esr_status_name(esr), (char)('0' + code % 4)), "the level's digit");
}

/* Every class with every code, and the bits between them as they come. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { data, size };
	uint64_t between = 0;

	for (int i = 0; i < 5; i++)
		between = between << 8 | choose(&c, 256);
	between &= ~(0x3fUL << 26 | 0x3f);
	for (uint64_t class = 0; class < 64; class ++)
		for (uint64_t code = 0; code < 64; code++)
			check(between | class << 26 | code);
	return 0;
}
