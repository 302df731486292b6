/* See uaccess.h. */
#include "proc/uaccess.h"

#include "arch/virt.h"
#include "base/protect.h"
#include "base/string.h"

/* protect=-useraccess: the bug of a kernel that takes a pointer as it comes. */
static bool trusted(uintptr_t va)
{
	return !protected(PROTECT_USERACCESS) && va >= KVA_BASE;
}

/* The kernel's address of va; *bytes shrinks to what lies in the same page. */
static char *piece(const struct process *p, uintptr_t va, size_t *bytes, bool write)
{
	size_t in_page = PAGE_SIZE - va % PAGE_SIZE;

	if (*bytes > in_page)
		*bytes = in_page;
	return trusted(va) ? (char *)va : space_page(&p->space, va, write);
}

bool user_copy_in(struct process *p, void *to, uintptr_t from, size_t bytes)
{
	char *t = to;

	while (bytes) {
		size_t n = bytes;
		const char *f = piece(p, from, &n, false);

		if (!f)
			return false;
		memcpy(t, f, n);
		t += n;
		from += n;
		bytes -= n;
	}
	return true;
}

bool user_copy_out(struct process *p, uintptr_t to, const void *from, size_t bytes)
{
	const char *f = from;

	while (bytes) {
		size_t n = bytes;
		char *t = piece(p, to, &n, true);

		if (!t)
			return false;
		memcpy(t, f, n);
		f += n;
		to += n;
		bytes -= n;
	}
	return true;
}
