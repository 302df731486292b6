"""The fuzzers of harness/host: short runs, always the same, that find nothing in the kernel's files
and everything that is planted in them.
"""

from pathlib import Path

import pytest

from harness.dev import fuzz
from harness.dev.fuzz import Mutant, Run
from harness.errors import HarnessError

# How many inputs a short run has: what finds every mutant below, with some to spare.
RUNS = {"bump": 8000, "cmdline": 4000, "fdt": 3000, "heap": 8000, "inject": 4000, "page": 2000}
RUNS |= {"esr": 400}
RUNS |= {"cpio": 12000, "elf": 120000, "pool": 6000, "tags": 4000}

FDT, HEAP, PAGE, POOL = "base/fdt.c", "mem/heap.c", "mem/page.c", "mem/pool.c"
CMDLINE, BUMP, GUARD = "base/cmdline.c", "mem/bump.c", "mem/pool_guard.c"
SLOW, POOL_H, TAGGED = "mem/pool_slow.c", "mem/pool.h", "mem/pool_tagged.c"
INJECT = "base/inject_rule.c"
CPIO, ELF, ESR = "proc/cpio.c", "proc/elf.c", "arch/esr.c"

# One check taken away, or made off by one.
MUTANTS = (
    Mutant("cmdline.length", CMDLINE, "CMDLINE_MAX_BYTES)", "CMDLINE_MAX_BYTES + 40)"),
    Mutant("cmdline.count", CMDLINE, "c->count == CMDLINE_MAX_ITEMS", "0"),
    Mutant("cmdline.printable", CMDLINE, "|| *p > '~'", ""),
    Mutant("cmdline.named", CMDLINE, "c->bad = word;\n\t\t\treturn", "return"),
    Mutant("cmdline.overflow", CMDLINE, "n > UINT64_MAX >> shift", "0"),
    Mutant("cpio.header", CPIO, "at > size || size - at < HEADER_BYTES", "at > size"),
    Mutant("cpio.data", CPIO, "|| e->file.size > size - data", ""),
    Mutant("cpio.name", CPIO, "return i + 1 == n;", "return n;"),
    Mutant("cpio.digit", CPIO, "c <= 'f'", "c <= 'g'"),
    Mutant("cpio.regular", CPIO, "!is_regular(&e) || index--", "index--"),
    Mutant("cpio.links", CPIO, "e->file.size || e->fields[LINKS] < 2", "1"),
    Mutant("cpio.inode", CPIO, "a->fields[INODE] == b->fields[INODE] &&", "true ||"),
    Mutant("cpio.second", CPIO, "e->end = at == size;", "e->end = true;"),
    Mutant("cpio.trailing", CPIO, "memcmp(archive + at, MAGIC, sizeof(MAGIC) - 1) != 0)", "0)"),
    Mutant("cpio.aligned", CPIO, "at % 4 || ", ""),
    Mutant("cpio.pad", CPIO, "ALIGN_UP(data + e->file.size, 4UL)", "(data + e->file.size)"),
    Mutant("elf.truncated", ELF, "head_size < sizeof(*h)", "0"),
    Mutant("elf.half", ELF, "|| !inside(p->address, p->memory, ELF_END)", ""),
    Mutant("elf.headers", ELF, "* sizeof(struct program_header), head_size", "* 0, head_size"),
    Mutant("elf.file", ELF, "if (!inside(p->offset, p->file, size))", "if (p->offset > size)"),
    Mutant("elf.short", ELF, "p->file > p->memory", "0"),
    Mutant("elf.page", ELF, "p->address % PAGE_SIZE", "p->address % 8"),
    Mutant("elf.low", ELF, "p->address < ELF_LOWEST || ", ""),
    Mutant("elf.magic", ELF, 'memcmp(h->magic, "\\177ELF", sizeof(h->magic)) != 0', "0"),
    Mutant("elf.class", ELF, "h->class != CLASS_64", "0"),
    Mutant("elf.order", ELF, "h->data != DATA_LITTLE", "0"),
    Mutant("elf.type", ELF, "h->type != TYPE_EXECUTABLE", "0"),
    Mutant("elf.write-execute", ELF, "strict && p->flags & ELF_WRITE", "0 && p->flags & ELF_WRITE"),
    Mutant("elf.overlap", ELF, "other->address < pages_end(s)", "other->address < s->address"),
    Mutant("elf.many", ELF, "plan->count == ELF_MAX_SEGMENTS", "0"),
    Mutant("elf.total", ELF, "return total > ELF_MAX_MEMORY;", "return false;"),
    Mutant("elf.entry", ELF, "plan->entry - s->address < s->file", "true"),
    Mutant("elf.last-byte", ELF, "size <= total - offset", "size < total - offset"),
    Mutant("elf.lowest", ELF, "p->address < ELF_LOWEST", "p->address <= ELF_LOWEST"),
    Mutant("elf.largest", ELF, "p->memory > ELF_MAX_MEMORY", "p->memory >= ELF_MAX_MEMORY"),
    Mutant("elf.all-of-it", ELF, "total > ELF_MAX_MEMORY", "total >= ELF_MAX_MEMORY"),
    Mutant("elf.eighth", ELF, "== ELF_MAX_SEGMENTS", "== ELF_MAX_SEGMENTS - 1"),
    Mutant("elf.touching", ELF, "s->address < pages_end(other)", "s->address <= pages_end(other)"),
    Mutant("elf.as-long", ELF, "p->file > p->memory", "p->file >= p->memory"),
    Mutant("elf.last-entry", ELF, "s->address < s->file)", "s->address < s->file - 4)"),
    Mutant("elf.past-entry", ELF, "s->address < s->file)", "s->address <= s->file)"),
    Mutant("elf.odd-entry", ELF, "plan->entry % 4 == 0", "plan->entry % 2 == 0"),
    Mutant("elf.machine", ELF, "h->machine != MACHINE_AARCH64", "0"),
    Mutant("elf.section", ELF, "return inside(s->offset, s->size, size);", "return true;"),
    Mutant("elf.string", ELF, "!name_ends(image + names->offset, names, s.name)", "0"),
    Mutant("esr.fnv", ESR, " && !(esr & ISS_FNV)", ""),
    Mutant("esr.fnv-bit", ESR, "#define ISS_FNV (1UL << 10)", "#define ISS_FNV (1UL << 9)"),
    Mutant(
        "esr.fnv-of-all",
        ESR,
        "== EC_PC_ALIGN)\n\t\treturn true",
        "== EC_PC_ALIGN)\n\t\treturn false",
    ),
    Mutant("esr.fetch", ESR, " || esr_is_instruction_abort(esr)) && !", ") && !"),
    Mutant("esr.lower", ESR, "|| esr_class(esr) == EC_DABT_LOWER", ""),
    Mutant("esr.write", ESR, "(esr & ISS_WNR) && ", ""),
    Mutant("esr.maintenance", ESR, " && !(esr & ISS_CM)", ""),
    Mutant("esr.level", ESR, "translation fault, level 3", "translation fault, level 2"),
    Mutant("esr.guessed", ESR, '[0x10] = "external', '[0x30] = "external'),
    Mutant("fdt.total", FDT, "total > limit || ", ""),
    Mutant("fdt.inside", FDT, " && size <= total - offset", ""),
    Mutant("fdt.name", FDT, "while (n < size && s[n])", "while (s[n])"),
    Mutant("fdt.string", FDT, "w->strings_size && w->strings[w->strings_size - 1]", "false"),
    Mutant("fdt.value", FDT, "length > w->left - 8 || ", ""),
    Mutant(
        "fdt.left",
        FDT,
        "ALIGN_UP(bytes, 4UL) < w->left ? ALIGN_UP(bytes, 4UL) : w->left",
        "ALIGN_UP(bytes, 4UL)",
    ),
    Mutant("fdt.unknown", FDT, "return token == NOP;", "return true;"),
    Mutant("fdt.closed", FDT, "return w->level > 0;", "return true;"),
    Mutant("fdt.stray", FDT, "!w->level || w->left < 8", "w->left < 8"),
    Mutant("fdt.astray", FDT, "w->depth == w->level ? w->led[w->level] : 0", "w->led[w->level]"),
    Mutant("fdt.back", FDT, "if (w->depth == w->level)\n\t\tw->depth--", "w->depth--"),
    Mutant("fdt.on-the-way", FDT, "if (!name[1])\n", "\n"),
    Mutant("fdt.above", FDT, "!q->path[w->level - 1] && ", ""),
    Mutant("fdt.first", FDT, "if (!q->value) {", "{"),
    Mutant("fdt.most", FDT, "node < q->room && ", "q->nodes && "),
    Mutant("fdt.none", FDT, "q->numbers[q->nodes] = FDT_NONE;", "q->numbers[q->nodes] = 0;"),
    Mutant("fdt.cells", FDT, "(length == 4 || length == 8)", "(length >= 4)"),
    Mutant("fdt.order", FDT, "q->numbers[node] = fdt", "q->numbers[0] = fdt"),
    Mutant("fdt.unit", FDT, "!*name && *node == '@'", "false"),
    Mutant("heap.split", HEAP, "rest < HEAP_HEADER_BYTES + HEAP_ALIGN", "rest < HEAP_ALIGN"),
    Mutant("heap.join", HEAP, "before && !is_used(h, before)", "0"),
    Mutant("heap.wrap", HEAP, "if (size <= h->size)", ""),
    Mutant("heap.misaligned", HEAP, " || offset % HEAP_ALIGN", ""),
    Mutant("heap.double", HEAP, "is_used(h, b) ? HEAP_OK : HEAP_DOUBLE_FREE", "HEAP_OK"),
    Mutant("heap.forged", HEAP, "if (!begins(h, b))\n\t\treturn check", "if (0) return check"),
    Mutant(
        "heap.forgotten",
        HEAP,
        "*record_of(h, behind) = (struct heap_record){ .size_and_used = 0 };",
        "",
    ),
    Mutant("heap.before", HEAP, "b->previous >= offset || ", ""),
    Mutant("heap.back-link", HEAP, " && size_of(h, before) == b->previous", ""),
    Mutant("heap.used", HEAP, "b->size_and_used == record_of(h, b)->size_and_used && ", ""),
    Mutant("heap.beside", HEAP, "if (!is_whole(h, behind))", "if (0)"),
    Mutant("heap.beyond", HEAP, "\t\tif (is_used(h, behind))\n", ""),
    Mutant("heap.whole", HEAP, "if (written_over(h, b))", "if (0)"),
    Mutant("heap.search", HEAP, "(b->size_and_used ^ is) | ", ""),
    Mutant("heap.mended", HEAP, "if (f.b)\n\t\tlook_behind(h, &f);", ""),
    Mutant("heap.blamed", HEAP, "while (!begins(h, before));", "while (0);"),
    Mutant("heap.owner", HEAP, "f.record->owner = owner_from(caller);", ""),
    Mutant("heap.joined", HEAP, "? HEAP_INSIDE : HEAP_DOUBLE_FREE", "? HEAP_INSIDE : HEAP_INSIDE"),
    Mutant("heap.first", HEAP, "->freed_by;\n}", "->freed_by * 0;\n}"),
    Mutant("heap.made", HEAP, "if (!records)\n\t\treturn false;", ""),
    Mutant("heap.small", HEAP, "size >= HEAP_HEADER_BYTES + HEAP_ALIGN", "size"),
    Mutant("heap.large", HEAP, " && size <= HEAP_MAX_BYTES", ""),
    Mutant("page.last", PAGE, "fresh < count.total", "fresh <= count.total"),
    Mutant("page.run", PAGE, "n <= count.total - fresh", "n <= count.total"),
    Mutant("page.misaligned", PAGE, "if (address % PAGE_SIZE)", "if (0)"),
    Mutant("page.double", PAGE, "p->state == PAGE_FREE && protected", "false && protected"),
    Mutant("page.hidden", PAGE, "hide(address_of(index));", ""),
    Mutant("page.shown", PAGE, "show(address_of(index));", ""),
    Mutant("page.table", PAGE, "tables + block * PAGE_SIZE", "first + block * PAGE_SIZE"),
    Mutant("bump.wrap", BUMP, "size > b->end - at", "at + size > b->end"),
    Mutant("bump.rounded", BUMP, "at < b->at || ", ""),
    Mutant("bump.power", BUMP, "align & (align - 1) || ", ""),
    Mutant("bump.gives-back", BUMP, "early.at = before_last;", ""),
    Mutant("inject.length", INJECT, "n < size ? n + 1 : size", "n + 1"),
    Mutant("inject.who", INJECT, " || strlen(name) >= INJECT_WHO_MAX", ""),
    Mutant("inject.range", INJECT, "||\n\t\t    number > o->max)", ")"),
    Mutant("inject.exclude", INJECT, " > 1)", " > 3)"),
    Mutant("inject.nth", INJECT, "r->eligible >= r->nth", "r->eligible > r->nth"),
    Mutant("inject.space", INJECT, "\tr->space = 0;\n", ""),
    Mutant("inject.times", INJECT, " || r->injected == most", ""),
    Mutant("pool.nothing", POOL, "!pool->block || ", ""),
    Mutant("pool.owns", SLOW, "- pool->base < pool->span", "- pool->base <= pool->span"),
    Mutant("pool.misaligned", SLOW, "if ((address - pool->base) % pool->stride)", "if (0)"),
    Mutant("pool.double", SLOW, "->state == BLOCK_USED ?", "->state != BLOCK_BAD ?"),
    Mutant("pool.wrong-pool", SLOW, "pool_find(block) ? POOL_WRONG_POOL", "0 ? POOL_WRONG_POOL"),
    Mutant("pool.retired", SLOW, "error ? BLOCK_BAD : BLOCK_FREE", "BLOCK_FREE"),
    Mutant("pool.poisoned", SLOW, "pool_poison(pool, block);\n\tpool_push", "pool_push"),
    Mutant("pool.lost", SLOW, "smashed ? 0 : next", "next"),
    Mutant(
        "pool.laundered",
        SLOW,
        "pool_push(pool, block, error ? 0 : next)",
        "pool_push(pool, block, next)",
    ),
    Mutant("pool.unmade", SLOW, "if (!is_made(pool))", "if (0)"),
    Mutant("pool.garbage", POOL, "*pool = (struct mem_pool){ .name = pool->name };", ""),
    Mutant("pool.walk", SLOW, "\t\t\treturn free - listed;", "\t\t\treturn 0;"),
    Mutant("pool.link", GUARD, "return POOL_SMASHED_LINK;", "return POOL_OK;"),
    Mutant("pool.poison", GUARD, "memory + sizeof(struct pool_link),", "memory + 17,"),
    Mutant("pool.before", GUARD, "first_other(memory - pool->before,", "first_other(memory - 15,"),
    Mutant(
        "pool.slack", GUARD, "first_other(memory + pool->size,", "first_other(memory + pool->block,"
    ),
    Mutant("pool.inverse", POOL, "right < 64; right *= 2", "right < 24; right *= 2"),
    Mutant("pool.record", POOL_H, "index < pool->capacity", "index <= pool->capacity"),
    Mutant("pool.pairs", POOL, "(pair[0] == word) & (pair[1] == word)", "pair[0] == word"),
    Mutant(
        "pool.quick-before", POOL, "pairs_are(block - pool->before, block, POISON_REDZONE)", "true"
    ),
    Mutant("pool.quick-behind", POOL, "pairs_are(behind, behind + pool->behind, POISON", "(POISON"),
    Mutant("pool.quick-poison", POOL, "|| !poison_is_whole(pool, block) ", ""),
    Mutant("pool.quick-fill", POOL, "pair[0] = pair[1] = word", "pair[0] = word"),
    Mutant("pool.quick-double", POOL, "record->state != BLOCK_USED || !is_plain(", "!is_plain("),
    Mutant("pool.quick-link", POOL, "link.next != link.copy || ", ""),
    Mutant(
        "pool.quick-head",
        POOL,
        " ||\n\t    !zones_are_whole(pool, block) || head.next != head.copy)",
        " || !zones_are_whole(pool, block))",
    ),
    Mutant("pool.quick-slack", POOL, "!pool->mode && pool->size == pool->block", "!pool->mode"),
    Mutant("pool.head", GUARD, "if (other != (uint8_t *)s.words)", "if (0)"),
    Mutant("pool.tail", GUARD, "(uint8_t *)s.words, s.end, word)", "s.end, s.end, word)"),
    Mutant("tags.before", TAGGED, "if (block > pool->base)", "if (0)"),
    Mutant("tags.behind", TAGGED, "pool_index(pool, block) + 1 < pool->capacity", "0"),
    Mutant("tags.last", TAGGED, "block) + 1 < pool->capacity", "block) < pool->capacity"),
    Mutant("tags.same", TAGGED, "NO_BLOCKS_TAGS | 1U << mte_tag_at(block)", "NO_BLOCKS_TAGS"),
    Mutant("tags.nobody", TAGGED, "NO_BLOCKS_TAGS | 1U", "1U"),
    Mutant("tags.zone", TAGGED, "mte_set_tags(block - pool->before,", "mte_set_tags(block,"),
    Mutant("tags.unit", TAGGED, "ALIGN_UP(pool->block, unit())", "pool->block"),
    Mutant(
        "tags.dense", TAGGED, "ALIGN_UP(pool->block, unit())", "ALIGN_UP(pool->block, PAGE_SIZE)"
    ),
    Mutant("tags.pages", TAGGED, "ALIGN_UP(bytes, PAGE_SIZE) / PAGE_SIZE", "bytes / PAGE_SIZE"),
    Mutant("tags.kept", TAGGED, "\t\tpool_window_give_back(window, pages);\n", ""),
    Mutant("tags.tried", TAGGED, "\t\tpool_window_give_back(page, 1);\n", ""),
    Mutant(
        "tags.wrap",
        TAGGED,
        "__builtin_mul_overflow(pool->stride, pool->capacity, &bytes)",
        "(bytes = pool->stride * pool->capacity, 0)",
    ),
)


def short_run(fuzzer: Path, name: str, tmp_path: Path) -> Run:
    # use_cmp=0: comparisons teach libFuzzer addresses, and those differ each time.
    options = (f"-runs={RUNS[name]}", "-seed=1", "-use_cmp=0")
    return fuzz.run(fuzzer, name, tmp_path / "kept", *options)


@pytest.mark.parametrize("name", fuzz.names())
def test_the_fuzzer_finds_nothing(name: str, tmp_path: Path) -> None:
    came = short_run(fuzz.build(name), name, tmp_path)
    assert not came.finding, came.output
    assert came.executions >= RUNS[name]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_fuzzer_finds_what_is_planted(mutant: Mutant, tmp_path: Path) -> None:
    came = short_run(fuzz.build_mutant(mutant), mutant.fuzzer, tmp_path)
    assert came.finding, f"{came.executions} executions, and nothing was found"


def test_every_fuzzer_has_mutants() -> None:
    assert {mutant.fuzzer for mutant in MUTANTS} == set(fuzz.names())


def test_a_mutant_whose_text_is_gone_is_named() -> None:
    with pytest.raises(HarnessError, match="stands 0 times"):
        fuzz.build_mutant(Mutant("fdt.gone", "base/fdt.c", "no such text", ""))


def test_a_mutant_whose_text_has_moved_leaves_no_old_file() -> None:
    """Both would be compiled: the old one hides the kernel's."""
    former = fuzz.HOST / "mutants" / "fdt.moved" / "base" / "string.c"
    former.parent.mkdir(parents=True, exist_ok=True)
    former.write_text("#error hidden\n")
    fuzz.build_mutant(Mutant("fdt.moved", "base/fdt.c", "#define MAGIC 0x", "#define MAGIC 0x1"))
    assert not former.exists()
