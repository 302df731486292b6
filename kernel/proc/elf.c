/* See elf.h. Layout: System V ABI, chapters 4 and 5; AArch64 supplement (IHI 0056). */
#include "proc/elf.h"

#include "base/string.h"

#define CLASS_64 2
#define DATA_LITTLE 1
#define VERSION 1
#define TYPE_EXECUTABLE 2
#define MACHINE_AARCH64 183
#define SEGMENT_LOAD 1
#define SECTION_SYMBOLS 2
#define SYMBOL_FUNCTION 2

struct elf_header {
	uint8_t magic[4], class, data, version, padding[9];
	uint16_t type, machine;
	uint32_t file_version;
	uint64_t entry, program_headers, section_headers;
	uint32_t flags;
	uint16_t size, program_header_size, program_header_count;
	uint16_t section_header_size, section_header_count, section_names;
};

struct program_header {
	uint32_t type, flags;
	uint64_t offset, address, physical, file, memory, align;
};

struct section_header {
	uint32_t name, type;
	uint64_t flags, address, offset, size;
	uint32_t link, info;
	uint64_t align, entry_size;
};

struct symbol_entry {
	uint32_t name;
	uint8_t info, other;
	uint16_t section;
	uint64_t value, size;
};

static bool inside(uint64_t offset, uint64_t size, uint64_t total)
{
	return offset <= total && size <= total - offset;
}

/* The header, copied, as nobody says that a file lies aligned. */
static const char *read_header(struct elf_header *h, const void *head, size_t head_size,
			       bool strict)
{
	if (head_size < sizeof(*h))
		return "truncated";
	memcpy(h, head, sizeof(*h));
	if (!strict)
		return NULL;
	if (memcmp(h->magic, "\177ELF", sizeof(h->magic)) != 0)
		return "not-elf";
	if (h->class != CLASS_64)
		return "wrong-class";
	if (h->data != DATA_LITTLE)
		return "wrong-byte-order";
	if (h->version != VERSION || h->file_version != VERSION)
		return "wrong-version";
	if (h->machine != MACHINE_AARCH64)
		return "wrong-machine";
	if (h->type != TYPE_EXECUTABLE)
		return "not-executable";
	return NULL;
}

static const char *check_table(const struct elf_header *h, size_t head_size, bool strict)
{
	if (strict && !h->program_header_count)
		return "no-segments";
	if (h->program_header_size != sizeof(struct program_header))
		return "wrong-header-size";
	if (!inside(h->program_headers,
		    (uint64_t)h->program_header_count * sizeof(struct program_header), head_size))
		return "headers-outside";
	return NULL;
}

static uint64_t pages_end(const struct elf_segment *s)
{
	return s->address + ALIGN_UP(s->memory, PAGE_SIZE);
}

static const char *check_segment(const struct program_header *p, size_t size, bool strict)
{
	if (!inside(p->offset, p->file, size))
		return "segment-outside-file";
	if (strict && p->file > p->memory)
		return "file-larger-than-memory";
	if (strict && p->address % PAGE_SIZE)
		return "segment-misaligned";
	if (p->memory > ELF_MAX_MEMORY)
		return "segment-too-large";
	if (p->address < ELF_LOWEST || !inside(p->address, p->memory, ELF_END))
		return "segment-outside-user";
	if (strict && p->flags & ELF_WRITE && p->flags & ELF_EXECUTE)
		return "writable-and-executable";
	return NULL;
}

static bool overlaps(const struct elf_plan *plan, const struct elf_segment *s)
{
	for (unsigned int i = 0; i < plan->count; i++) {
		const struct elf_segment *other = &plan->segments[i];

		if (s->address < pages_end(other) && other->address < pages_end(s))
			return true;
	}
	return false;
}

static bool too_large(const struct elf_plan *plan, const struct elf_segment *s)
{
	size_t total = ALIGN_UP(s->memory, PAGE_SIZE);

	for (unsigned int i = 0; i < plan->count; i++)
		total += ALIGN_UP(plan->segments[i].memory, PAGE_SIZE);
	return total > ELF_MAX_MEMORY;
}

static const char *add_segment(struct elf_plan *plan, const struct program_header *p, size_t size,
			       bool strict)
{
	struct elf_segment s = { p->address, p->memory, p->file, p->offset, p->flags };
	const char *why = check_segment(p, size, strict);

	if (why)
		return why;
	if (plan->count == ELF_MAX_SEGMENTS)
		return "too-many-segments";
	if (strict && overlaps(plan, &s))
		return "segments-overlap";
	if (too_large(plan, &s))
		return "program-too-large";
	plan->segments[plan->count++] = s;
	return NULL;
}

static bool entry_in_text(const struct elf_plan *plan)
{
	for (unsigned int i = 0; i < plan->count; i++) {
		const struct elf_segment *s = &plan->segments[i];

		if (s->flags & ELF_EXECUTE && plan->entry % 4 == 0 &&
		    plan->entry - s->address < s->file)
			return true;
	}
	return false;
}

const char *elf_examine(struct elf_plan *plan, const void *head, size_t head_size, size_t size,
			bool strict)
{
	struct elf_header h;
	const char *why = head_size > size ? "truncated" : read_header(&h, head, head_size, strict);

	*plan = (struct elf_plan){ .count = 0 };
	if (!why)
		why = check_table(&h, head_size, strict);
	for (unsigned int i = 0; !why && i < h.program_header_count; i++) {
		struct program_header p;

		memcpy(&p, (const char *)head + h.program_headers + i * sizeof(p), sizeof(p));
		if (p.type == SEGMENT_LOAD && p.memory)
			why = add_segment(plan, &p, size, strict);
	}
	if (why)
		return why;
	plan->entry = h.entry;
	if (strict && !plan->count)
		return "no-segments";
	return strict && !entry_in_text(plan) ? "entry-outside-text" : NULL;
}

/* The i-th section header; false if it is not whole. */
static bool read_section(struct section_header *s, const void *image, size_t size,
			 const struct elf_header *h, unsigned int i)
{
	if (i >= h->section_header_count || h->section_header_size != sizeof(*s) ||
	    !inside(h->section_headers, (uint64_t)h->section_header_count * sizeof(*s), size))
		return false;
	memcpy(s, (const char *)image + h->section_headers + i * sizeof(*s), sizeof(*s));
	return inside(s->offset, s->size, size);
}

static bool name_ends(const char *names, const struct section_header *s, uint32_t name)
{
	for (uint64_t i = name; i < s->size; i++)
		if (!names[i])
			return true;
	return false;
}

static bool search(struct elf_symbol *found, const char *image,
		   const struct section_header *symbols, const struct section_header *names,
		   uintptr_t address)
{
	for (uint64_t i = 0; i < symbols->size / sizeof(struct symbol_entry); i++) {
		struct symbol_entry s;

		memcpy(&s, image + symbols->offset + i * sizeof(s), sizeof(s));
		if ((s.info & 0xf) != SYMBOL_FUNCTION || address - s.value >= s.size ||
		    !name_ends(image + names->offset, names, s.name))
			continue;
		*found = (struct elf_symbol){ image + names->offset + s.name, s.value, s.size };
		return true;
	}
	return false;
}

bool elf_symbol(struct elf_symbol *found, const void *image, size_t size, uintptr_t address)
{
	struct elf_header h;
	struct section_header symbols;
	struct section_header names;

	if (read_header(&h, image, size, true))
		return false;
	for (unsigned int i = 0; read_section(&symbols, image, size, &h, i); i++)
		if (symbols.type == SECTION_SYMBOLS &&
		    read_section(&names, image, size, &h, symbols.link))
			return search(found, image, &symbols, &names, address);
	return false;
}
