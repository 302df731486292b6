/* stub for now */
#include "core/upcall.h"
#include "proc/grow.h"
bool copy_begin(struct growth *g, struct stack *s)
{
	(void)g;
	(void)s;
	return false;
}
struct frame *grow_call(struct frame *f)
{
	return f;
}
