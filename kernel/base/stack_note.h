/*
 * What harness/stackreport cannot read from machine code, said beside the code that it is about: rows of a
 * section that is not loaded (kernel.ld). Their grammar is that of harness/stackreport/notes.py; a function
 * is meant in this very file first, and elsewhere only if this file has none of that name. So a static
 * function of the same name in another file changes nothing.
 *
 * Where threads begin nobody has to say: thread_create(), smp_start() and victim_run() are macros that write
 * it down. A note that nothing needs any more fails `make test`, and one that is missing is named there
 * together with the line to write.
 *
 *     STACK_RECURSION("descend", 100, "depth=, at most 100")
 */
#ifndef BASE_STACK_NOTE_H
#define BASE_STACK_NOTE_H

#include <stdint.h>

#define STACK_NOTE_JOIN_(a, b) a##b
#define STACK_NOTE_JOIN(a, b) STACK_NOTE_JOIN_(a, b)

/* `fields` are lines of TOML, in which # stands for the number; the compiler has worked that out. */
#define STACK_NOTE(kind, number_, fields)                                                          \
	STACK_NOTE_IN(kind, number_, fields, STACK_NOTE_JOIN(stack_note_, __COUNTER__))
#define STACK_NOTE_IN(kind, number_, fields, variable)                                             \
	__attribute__((used, aligned(8), section(".stack_notes"))) static const struct {           \
		char magic[8];                                                                     \
		uint64_t number;                                                                   \
		char text[sizeof(__BASE_FILE__ "\n[[" kind "]]\n" fields)];                        \
	} variable = { "stknote", (number_), __BASE_FILE__ "\n[[" kind "]]\n" fields };

#define STACK_NOTE_FIELD(key, value) key " = '''" value "'''\n"

/* The number where it is one that the compiler knows, else 0: known when it runs. */
#define STACK_NOTE_CONSTANT(number) __builtin_choose_expr(__builtin_constant_p(number), (number), 0)

/*
 * A thread of this name begins in this function, on so many bytes. Of the function the source text is kept,
 * so that `a->write ? writing : reading` names both.
 */
#define STACK_START(thread, function, bytes)                                                       \
	STACK_NOTE("start", STACK_NOTE_CONSTANT(bytes),                                            \
		   STACK_NOTE_FIELD("thread", #thread)                                             \
			   STACK_NOTE_FIELD("function", #function) "bytes = #\n")

/* The same of functions that reach their thread through a variable: "one two", or a pattern. */
#define STACK_STARTS(name, functions, bytes, why)                                                  \
	STACK_NOTE("stack", bytes,                                                                 \
		   STACK_NOTE_FIELD("name", name) STACK_NOTE_FIELD("starts", functions)            \
			   STACK_NOTE_FIELD("why", why) "size = #\n")

/* How large a stack is, where its maker does not say so in a constant, or nobody begins on it. */
#define STACK_SIZE(name, bytes, why)                                                               \
	STACK_NOTE("stack", bytes,                                                                 \
		   STACK_NOTE_FIELD("name", name) STACK_NOTE_FIELD("why", why) "size = #\n")

/* One that is left on purpose: no bound is asked for. */
#define STACK_UNBOUNDED(name, bytes, why)                                                          \
	STACK_NOTE("stack", bytes,                                                                 \
		   STACK_NOTE_FIELD("name", name) STACK_NOTE_FIELD("unbounded", why)               \
			   STACK_NOTE_FIELD("why", why) "size = #\n")

/* A stack whose first function is not thread_start(). */
#define STACK_ENTRY(name, function, functions, bytes, why)                                         \
	STACK_NOTE("stack", bytes,                                                                 \
		   STACK_NOTE_FIELD("name", name) STACK_NOTE_FIELD("entry", function)              \
			   STACK_NOTE_FIELD("starts", functions)                                   \
				   STACK_NOTE_FIELD("why", why) "size = #\n")

/* What `function` calls through a pointer: "one two", or a pattern. */
#define STACK_CALLS(function, targets, why)                                                        \
	STACK_NOTE("indirect", 0,                                                                  \
		   STACK_NOTE_FIELD("in", function) STACK_NOTE_FIELD("targets", targets)           \
			   STACK_NOTE_FIELD("why", why))

/* How many activations of it there can be at once. */
#define STACK_RECURSION(function, times, why)                                                      \
	STACK_NOTE("recursion", times,                                                             \
		   STACK_NOTE_FIELD("function", function)                                          \
			   STACK_NOTE_FIELD("why", why) "depth = #\n")

/* How much alloca, an array of variable length or assembly may take in it. */
#define STACK_DYNAMIC(function, bytes_, why)                                                       \
	STACK_NOTE("dynamic", bytes_,                                                              \
		   STACK_NOTE_FIELD("function", function)                                          \
			   STACK_NOTE_FIELD("why", why) "bytes = #\n")

/* It loads SP. */
#define STACK_SWITCHES(function, why)                                                              \
	STACK_NOTE("assembly", 0,                                                                  \
		   STACK_NOTE_FIELD("function", function)                                          \
			   STACK_NOTE_FIELD("why", why) "switches = true\n")

/* Where its computed jump goes, or its `ret` after the return address was overwritten: "one two". */
#define STACK_JUMPS(function, labels, why)                                                         \
	STACK_NOTE("assembly", 0,                                                                  \
		   STACK_NOTE_FIELD("function", function) STACK_NOTE_FIELD("jumps", labels)        \
			   STACK_NOTE_FIELD("why", why))

/* A call that is not counted on these stacks. */
#define STACK_IGNORE(from, to, on, why)                                                            \
	STACK_NOTE("ignore", 0,                                                                    \
		   STACK_NOTE_FIELD("from", from) STACK_NOTE_FIELD("to", to)                       \
			   STACK_NOTE_FIELD("on", on) STACK_NOTE_FIELD("why", why))

/* A measurement of a golden that is not held against the bound. */
#define STACK_MARK(log, stack, why)                                                                \
	STACK_NOTE("mark", 0,                                                                      \
		   STACK_NOTE_FIELD("log", log) STACK_NOTE_FIELD("stack", stack)                   \
			   STACK_NOTE_FIELD("why", why))

/* Its address is taken, but not for a call through a pointer. */
#define STACK_TAKEN(function, why)                                                                 \
	STACK_NOTE("taken", 0, STACK_NOTE_FIELD("function", function) STACK_NOTE_FIELD("why", why))

#endif
