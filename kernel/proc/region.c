/* mmap: the regions of a process. See process.h. */
#include "base/string.h"
#include "mem/heap.h"
#include "proc/process.h"
#include "report/report.h"

#define FIRST_ROWS 8

/* A heap that somebody wrote over is no lack of memory: nothing of it may be used any more. */
static void check_heap(void)
{
	if (!region_heap.refused.why)
		return;
	refusal_report("heap", &region_heap.refused);
	end("caught by=heap-check");
}

void regions_free(struct region *rows)
{
	heap_free(&region_heap, rows);
	check_heap();
}

/* A table on the heap doubles. False: at its limit, inside the process, or no memory. */
static bool grow(struct regions *r)
{
	unsigned int capacity = r->rows ? 2 * r->capacity : FIRST_ROWS;
	struct region *rows;

	if (!r->on_heap || capacity > MAX_REGIONS)
		return false;
	rows = heap_alloc(&region_heap, capacity * sizeof(*rows));
	check_heap();
	if (!rows)
		return false;
	memset(rows, 0, capacity * sizeof(*rows));
	if (r->rows) {
		memcpy(rows, r->rows, r->capacity * sizeof(*rows));
		regions_free(r->rows);
	}
	r->rows = rows;
	r->capacity = capacity;
	return true;
}

static struct region *find(struct regions *r, uintptr_t base)
{
	for (unsigned int i = 0; r->rows && i < r->capacity; i++)
		if (r->rows[i].base == base)
			return &r->rows[i];
	return NULL;
}

static struct region *free_row(struct regions *r)
{
	struct region *row = find(r, 0);

	if (row || !grow(r))
		return row;
	return find(r, 0);
}

static void unmap_pages(struct process *p, uintptr_t base, size_t bytes)
{
	for (size_t done = 0; done < bytes; done += PAGE_SIZE)
		space_unmap(&p->space, base + done);
}

int64_t process_map(struct process *p, size_t bytes)
{
	uintptr_t limit = USER_REGIONS + (p->pid + 1) * USER_REGION_SPAN;
	uintptr_t base = p->regions_end;
	struct region *row;

	/* A region that ends at the limit leaves the next to begin a page beyond it. */
	if (!bytes || base > limit || bytes > limit - base)
		return ERROR_NUMBER;
	bytes = ALIGN_UP(bytes, PAGE_SIZE);
	row = free_row(&p->regions);
	if (!row)
		return ERROR_SLOTS;
	for (size_t done = 0; done < bytes; done += PAGE_SIZE) {
		if (space_map_new(&p->space, base + done, SPACE_DATA))
			continue;
		unmap_pages(p, base, done);
		return ERROR_MEMORY;
	}
	*row = (struct region){ base, bytes, SPACE_DATA, bytes / PAGE_SIZE };
	p->regions_end = base + bytes + PAGE_SIZE; /* an unmapped page between two */
	return (int64_t)base;
}

int64_t process_unmap(struct process *p, uintptr_t address)
{
	struct region *row = address ? find(&p->regions, address) : NULL;

	if (!row)
		return ERROR_NUMBER;
	unmap_pages(p, row->base, row->size);
	*row = (struct region){ .base = 0 };
	return 0;
}
