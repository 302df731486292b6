/*
 * From a register frame to a class: which stack, by how much, and whose fault. Reads, decides, prints
 * nothing. Adding a class: its name in report/fault.h, its row and its rule in classify.c.
 */
#ifndef REPORT_CLASSIFY_H
#define REPORT_CLASSIFY_H

#include "base/stack.h"
#include "report/fault.h"

struct fault_class_row {
	const char *name;
	const char *detector; /* who noticed, unless a software check says that it was itself */
	const char *prose;
};
extern const struct fault_class_row fault_classes[];

/* A fault, looked at: everything that the records say. */
struct finding {
	const struct frame *frame;
	enum fault_class class;
	const char *detector;
	const struct stack *own;   /* the stack the culprit was to run on */
	const struct stack *stack; /* the stack it hit, NULL if none */
	const char *guard;	   /* "below" or "above", NULL if none was touched */
	size_t beyond; /* bytes past the end of the stack, of the byte touched; 0: not past it */
	uintptr_t freed_by; /* CLASS_FREE_PAGE: return address of the call that freed it */
	bool by_sp;	    /* the access went through SP, or SP itself was past the end */
};

/* A synchronous exception, looked at. */
void classify_exception(struct finding *n, const struct frame *f);

/* The same, its class already found by whoever could not grow a stack. */
void classify_as(struct finding *n, const struct frame *f, enum fault_class class);

/* What a software check found: the class is known, the stacks are looked up. */
void classify_check(struct finding *n, const struct frame *f, enum fault_class class,
		    const char *detector);

#endif
