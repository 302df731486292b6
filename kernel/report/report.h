/*
 * The serial grammar: the only thing the kernel tells the harness. One record a line, at most
 * LINE_MAX_BYTES with its newline, emitted whole:
 *
 *     [area] word … key=value … : prose
 *
 * A line that ends in '~' was cut: it was too long, or a fault came while it was being written.
 *
 * Areas:   boot lab list EXC bt stack pool heap page thread inject cost end, and <family>-lab.
 * Words:   positional, before the first key, without '='. Values have no blank. Prose is for people.
 * Addresses are names: recurse+0x2c, thread:victim-0x10 (under the stack's lowest byte), null+0x8,
 * unmapped. Raw hexadecimal stands behind `raw=` only; harness/serial/canon.py drops it.
 *
 *   [boot] highwater build=ID nonce=N el=E cpus=N ram=BYTES
 *   [boot] args : the boot line as read
 *   [boot] protect guard=off …                what is switched off
 *   [lab] enter name=F.N param=VALUE … : sentence
 *   [list] lab F.N; param F.N KEY default= min= max= names=A,B; names F.N KEY names=C,D; protect NAME; site NAME
 *   [lab] holding for=serial|gdb              waits for `go [key=value …]`, or for lab_hold = 0
 *   [EXC] sync|irq|fiq|serror|check ec= fsc= op=read|write|exec far= elr= sp= mode= cpu= thread= site= raw=
 *   [EXC] CLASS …                             what it means (fault.c); killed thread= after on-fault=kill
 *   [EXC] absent cpu=N                        it did not come to a report, or to its end, in time (turn.h)
 *   [EXC] watchdog after=MS paused=MS         guest time since it was armed; without what reports took
 *   [EXC] sentinel stack= broken=0,3          which guard words are overwritten; 0 is the lowest
 *   [bt] #N sym+off frame=BYTES stack=NAME [times=N] [via=lr]
 *   [bt] end why=entry|… frames=N depth=BYTES
 *   [stack] NAME used=BYTES size=BYTES guard=ok|bad [lowest_sp=BYTES]
 *   [stack] NAME … margin=BYTES               every stack, with stacks=all
 *   [heap] refused why=WORD now=sym+off [first=sym+off]    a free not done: by whom, who freed before;
 *   [page] refused …                                      likewise
 *   [inject] step op= site= nth= injected=yes|no outcome=done|refused leaked=N    inject.sweep, with
 *   [inject] leak site= bytes= at= from=      who allocated what a refused operation holds, and
 *   [inject] census of= grew=N                what is not as it was before
 *   [inject] swept op= injected=N refused=N done=N
 *   [boot] inject site= nth= …                with fault=; and then, before [end],
 *   [inject] failed call= at= thread=         the first failures, and
 *   [inject] site= calls=N injected=M         all of them
 *   [cost] job=NAME instructions=N [least=N ratio_pct=N]      labs/cost/cost.h; protect= with= without= adds=
 *   [end] VERDICT [by=DETECTOR] [key=value …] exactly once
 *
 * Verdicts (closed list): ok, caught by=, contained by=, survived, bad-args, panic, double-fault, hang.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "arch/types.h"
#include "base/stack.h"

/*
 * Emit one record: printf's %s %c %d %u %x, with l, width and 0; %pS: symbol+offset of code;
 * %pR: the same for a return address; %pA: any address by name. No newline in the format.
 */
__attribute__((format(printf, 1, 2))) void report(const char *format, ...);

/* A record in pieces: begin, any number of adds, end. Interrupts stay masked between. */
void record_begin(void);
__attribute__((format(printf, 1, 2))) void record_add(const char *format, ...);
/* An SP by the name of the stack it should be on (where_sp). */
void record_add_sp(const struct stack *own, uintptr_t sp);
void record_end(void);

/* [stack] NAME … for one stack; lowest_sp in bytes below its top, 0 if it is not known. */
void report_stack(const struct stack *s, size_t lowest_sp);

/* Every stack, with its margin, before [end]: stacks=all. */
extern bool report_stacks_at_end;

/*
 * Begin the end of the machine. Comes back to the first CPU that calls it. Another waits here while
 * the power goes off, so that the line of the first is whole; and a second end of the same CPU,
 * which comes of a fault in the first, has nothing left to say and powers off.
 */
void end_begin(void);

/*
 * The last line, then power off; of several calls only the first is heard (end_begin).
 * The format is the verdict and its fields: end("caught by=%s", detector).
 */
__attribute__((noreturn, format(printf, 1, 2))) void end(const char *format, ...);

/* A kernel invariant is broken: [end] panic. */
#define panic(why) end("panic why=%s", why)

#endif
