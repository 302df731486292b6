/*
 * proc/elf.c: any bytes are a program or refused, and of what is let through everything holds that the loader
 * then relies on: whole segments of the file, in the user's part of the addresses, in pages apart, none writable and
 * executable, the entry in one that can be executed. A symbol lies in the image and contains its address.
 * And what a model takes is taken: the last byte, page, segment and header that may be, and none beyond it.
 *
 * The first byte: bit 0 is `strict`, bit 1 says that a program is built from choices instead, whose every field is
 * plausible and some of whose are not.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "proc/elf.c" /* NOLINT(bugprone-suspicious-include): host.h says why */

static uint64_t end_of(const struct elf_segment *s)
{
	return s->address + s->memory;
}

static bool apart(const struct elf_segment *a, const struct elf_segment *b)
{
	uint64_t a_first = a->address / PAGE_SIZE, a_last = (end_of(a) - 1) / PAGE_SIZE;
	uint64_t b_first = b->address / PAGE_SIZE, b_last = (end_of(b) - 1) / PAGE_SIZE;

	return a_last < b_first || b_last < a_first;
}

static void check_one(const struct elf_segment *s, size_t size)
{
	require(s->memory, "a segment has memory");
	require(s->offset <= size && s->file <= size - s->offset, "all of it in the file");
	require(s->address >= ELF_LOWEST, "above the null pages");
	require(s->memory <= ELF_MAX_MEMORY, "is no larger than any may be");
	require(s->address < ELF_END && end_of(s) <= ELF_END, "and ends where programs end");
}

static void check_strict(const struct elf_plan *plan, const uint8_t *head)
{
	bool entry = false;

	require(memcmp(head, "\177ELF\2\1\1", 7) == 0,
		"it is what it says, of this class and order");
	require(head[16] == 2 && head[17] == 0, "an executable");
	require(head[18] == 183 && head[19] == 0, "the machine is AArch64");
	require(plan->count, "there are some segments");
	for (unsigned int i = 0; i < plan->count; i++) {
		const struct elf_segment *s = &plan->segments[i];

		require(s->file <= s->memory, "none has more of the file than memory");
		require(s->address % PAGE_SIZE == 0, "each begins at a page");
		require((s->flags & 3) != 3, "none is writable and executable");
		entry |= s->flags & 1 && plan->entry >= s->address &&
			 plan->entry < s->address + s->file;
		for (unsigned int k = 0; k < i; k++)
			require(apart(s, &plan->segments[k]), "segments share no page");
	}
	require(entry, "the entry is in a segment that can be executed");
}

/* --- the model: the same rules, each by itself, in numbers that cannot wrap ------------------------ */

typedef unsigned __int128 wide;

static bool model_header(const struct elf_header *h)
{
	return memcmp(h->magic, "\177ELF", 4) == 0 && h->class == 2 && h->data == 1 &&
	       h->version == 1 && h->file_version == 1 && h->machine == 183 && h->type == 2;
}

static bool model_segment(const struct program_header *p, size_t size, bool strict)
{
	bool honest = p->file <= p->memory && p->address % 4096 == 0 && (p->flags & 3) != 3;

	return (wide)p->offset + p->file <= size && p->memory <= 1 << 20 && p->address >= 0x10000 &&
	       (wide)p->address + p->memory <= (wide)1 << 32 && (honest || !strict);
}

static uint64_t model_pages(const struct program_header *p)
{
	return (p->memory + 4095) / 4096;
}

static bool model_shares(const struct program_header *a, const struct program_header *b)
{
	return a->address / 4096 < b->address / 4096 + model_pages(b) &&
	       b->address / 4096 < a->address / 4096 + model_pages(a);
}

static bool model_program(const struct program_header *p, unsigned int n, uint64_t entry)
{
	bool in_text = false;

	for (unsigned int i = 0; i < n; i++) {
		in_text |= p[i].flags & 1 && entry % 4 == 0 && entry >= p[i].address &&
			   entry < (wide)p[i].address + p[i].file;
		for (unsigned int k = 0; k < i; k++)
			if (model_shares(&p[i], &p[k]))
				return false;
	}
	return in_text;
}

static bool model(const uint8_t *file, size_t size, bool strict)
{
	struct program_header p, taken[8];
	struct elf_header h;
	unsigned int n = 0;
	uint64_t pages = 0;

	if (size < sizeof(h))
		return false;
	memcpy(&h, file, sizeof(h));
	if ((strict && !model_header(&h)) || h.program_header_size != 56 ||
	    (wide)h.program_headers + 56 * h.program_header_count > (size < 1024 ? size : 1024))
		return false;
	for (unsigned int i = 0; i < h.program_header_count; i++) {
		memcpy(&p, file + h.program_headers + i * sizeof(p), sizeof(p));
		if (p.type != 1 || !p.memory)
			continue;
		if (!model_segment(&p, size, strict) || n == 8)
			return false;
		taken[n++] = p;
		pages += model_pages(&p);
	}
	return pages <= 256 && (!strict || model_program(taken, n, h.entry));
}

static void examine(const uint8_t *file, size_t size, bool strict)
{
	size_t head_size = size < ELF_HEAD_BYTES ? size : ELF_HEAD_BYTES;
	uint8_t *head = exact_copy(file, head_size);
	struct elf_plan plan;
	size_t pages = 0;

	require(!elf_examine(&plan, head, head_size, size, strict) == model(file, size, strict),
		"what the model takes is taken, and nothing else");
	if (!elf_examine(&plan, head, head_size, size, strict)) {
		require(plan.count <= ELF_MAX_SEGMENTS, "there are no more segments than may be");
		for (unsigned int i = 0; i < plan.count; i++) {
			check_one(&plan.segments[i], size);
			pages += (plan.segments[i].memory + PAGE_SIZE - 1) / PAGE_SIZE;
		}
		if (strict)
			check_strict(&plan, head);
		require(pages * PAGE_SIZE <= ELF_MAX_MEMORY, "all of them have room");
	}
	free(head);
}

static void look_up(const uint8_t *file, size_t size)
{
	uint8_t *image = exact_copy(file, size);
	struct elf_symbol found;
	uint64_t address = 0;

	if (size >= 32)
		memcpy(&address, image + 24, 8);
	if (elf_symbol(&found, image, size, address)) {
		size_t at = (size_t)(found.name - (const char *)image);

		require(at < size && memchr(found.name, 0, size - at), "a name lies in the image");
		require(address - found.address < found.size, "a symbol contains its address");
	}
	free(image);
}

#define BUILT_BYTES 1400

/* One bound of a segment is met, or passed by one. */
static void at_bound(struct program_header *p, size_t size, struct choices *c)
{
	uint64_t past = choose(c, 2);

	switch (choose(c, 5)) {
	case 0:
		p->offset = size - p->file + past;
		break;
	case 1:
		p->address = ELF_LOWEST - past * PAGE_SIZE;
		break;
	case 2:
		p->memory = (choose(c, 2) + 1UL) * PAGE_SIZE;
		p->address = ELF_END - p->memory;
		p->memory += past;
		break;
	case 3:
		p->memory = ELF_MAX_MEMORY - choose(c, 2) * PAGE_SIZE + past;
		break;
	default:
		p->memory = p->file - past;
	}
}

/* Nothing is wrong with it: the first is text, the others are data, each in pages of its own. */
static void tame_segment(struct program_header *p, unsigned int i, struct choices *c)
{
	p->type = 1;
	p->flags = i ? 4 + 2U * choose(c, 2) : 5;
	p->address = 0x10000 + 0x2000UL * i;
	p->offset = choose(c, 60);
	p->file = 4 + 4UL * choose(c, 14);
	p->memory = p->file + choose(c, 2) * 4000UL;
}

/* The table of them ends where what is read of the file ends, or one byte further. */
static void at_end(uint8_t *file, struct elf_header *h, struct choices *c)
{
	size_t bytes = h->program_header_count * sizeof(struct program_header);

	if (bytes > ELF_HEAD_BYTES - sizeof(*h))
		return;
	h->program_headers = ELF_HEAD_BYTES - bytes + choose(c, 2);
	memmove(file + h->program_headers, file + sizeof(*h), bytes);
	memcpy(file, h, sizeof(*h));
}

/* A program with one to ten segments. Mostly right, so that the later checks are come to. */
static size_t build(uint8_t *file, struct choices *c)
{
	/* What a file says that it is. */
	static const size_t said[] = { 0, offsetof(struct elf_header, class),
				       offsetof(struct elf_header, data),
				       offsetof(struct elf_header, type) };
	struct elf_header h = { .magic = { 0x7f, 'E', 'L', 'F' },
				.class = 2,
				.data = 1,
				.version = 1,
				.type = 2,
				.machine = 183,
				.file_version = 1,
				.program_headers = sizeof(struct elf_header),
				.program_header_size = sizeof(struct program_header) };
	unsigned int count = choose(c, 10) + 1;
	bool tame = choose(c, 2);
	unsigned int tried = choose(c, 10); /* the one at a bound, of a tame program */
	size_t size = sizeof(h) + count * sizeof(struct program_header) + choose(c, 250) * 3UL;

	h.program_header_count = (uint16_t)count;
	h.entry = 0x10000 + 4UL * choose(c, 40);
	if (!tame && !choose(c, 8))
		h.machine = choose(c, 256);
	if (!tame && !choose(c, 12))
		h.program_headers = choose_number(c);
	if (!tame && !choose(c, 12))
		h.program_header_count = choose(c, 256);
	memcpy(file, &h, sizeof(h));
	if (!choose(c, 4))
		file[said[choose(c, ARRAY_SIZE(said))]] = choose(c, 4);
	for (unsigned int i = 0; i < count; i++) {
		struct program_header p = {
			.type = choose(c, 8) ? 1 : 4,
			.flags = i ? choose(c, 8) : 5,
			.address = 0x10000 + 0x1000UL * (2 * i + (i ? choose(c, 4) : 0)),
			.offset = choose(c, 250) * 4UL,
			.file = choose(c, 250),
		};

		p.memory = p.file + choose(c, 3) * 2040UL;
		if (tame) {
			tame_segment(&p, i, c);
			if (i == tried)
				at_bound(&p, size, c);
			if (!i)
				h.entry = p.address + p.file - 4UL * choose(c, 3);
			memcpy(file + sizeof(h) + i * sizeof(p), &p, sizeof(p));
			continue;
		}
		if (!choose(c, 6))
			p.memory = choose(c, 256) * 0x1000UL + choose(c, 2);
		if (!choose(c, 8))
			p.address += 8;
		if (!choose(c, 10))
			p.memory = choose_number(c);
		if (!choose(c, 10))
			p.address = choose_number(c);
		if (!choose(c, 16))
			p.offset = choose_number(c);
		if (!choose(c, 8))
			at_bound(&p, size, c);
		if (!i && !choose(c, 3))
			h.entry = p.address + p.file - 4UL * choose(c, 3);
		memcpy(file + sizeof(h) + i * sizeof(p), &p, sizeof(p));
	}
	memcpy(file + offsetof(struct elf_header, entry), &h.entry, sizeof(h.entry));
	if (!choose(c, 6))
		at_end(file, &h, c);
	return size;
}

/* A file of nothing but a header, functions and their names; the names' end may be missing. */
static void symbols(struct choices *c)
{
	struct {
		struct elf_header h;
		struct section_header sections[2];
		struct symbol_entry functions[4];
		char names[16];
	} f = { .h = { .magic = { 0x7f, 'E', 'L', 'F' }, .class = 2, .data = 1, .version = 1 } };
	size_t size = sizeof(f) - choose(c, 17);

	f.h.type = 2;
	f.h.machine = 183;
	f.h.file_version = 1;
	f.h.entry = choose(c, 64);
	f.h.section_headers = offsetof(typeof(f), sections);
	f.h.section_header_size = sizeof(struct section_header);
	f.h.section_header_count = 2;
	f.sections[0] = (struct section_header){ .type = choose(c, 3),
						 .offset = offsetof(typeof(f), functions),
						 .size = choose(c, 5) * sizeof(struct symbol_entry),
						 .link = choose(c, 3) };
	f.sections[1] = (struct section_header){ .type = 3,
						 .offset = offsetof(typeof(f), names),
						 .size = choose(c, 20) };
	for (unsigned int i = 0; i < 4; i++)
		f.functions[i] = (struct symbol_entry){ .name = choose(c, 24),
							.info = choose(c, 4),
							.value = choose(c, 64),
							.size = choose(c, 64) };
	memset(f.names, choose(c, 2) ? 'n' : '\0', sizeof(f.names));
	look_up((const uint8_t *)&f, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t built[BUILT_BYTES];
	struct choices c = { data, size };
	uint8_t how = choose(&c, 4);

	if (how & 2 && choose(&c, 2)) {
		symbols(&c);
	} else if (how & 2) {
		memset(built, 0, sizeof(built));
		examine(built, build(built, &c), how & 1);
	} else {
		examine(c.at, c.left, how & 1);
		look_up(c.at, c.left);
	}
	return 0;
}
