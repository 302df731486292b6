/* boot.light: the light environment alone, on 1 KiB: what it gives, and what its faults come to. */
#include "core/lab.h"
#include "core/light.h"
#include "core/protect.h"
#include "core/stack_note.h"
#include "labs/boot_crew.h"
#include "labs/illegal.h"
#include "proc/thread.h"

STACK_ENTRY("boot-stack:cpu*", "light_enter", "stay_light", 1 * KiB, "likewise: boot.light")
STACK_CALLS("kernel/arch/light.S:light_enter", "stay_light", "light_entry.main")

enum act { ACT_NONE, ACT_NULL, ACT_UNDEFINED, ACT_OVERFLOW, ACT_HANG };

static uint64_t act;

static void fault_light(const struct cpu *cpu)
{
	if (act == ACT_NULL)
		write_null();
	if (act == ACT_UNDEFINED)
		FAULT_SITE(light_undefined, "mrs xzr, s3_7_c15_c15_7", "r"(0));
	if (act == ACT_OVERFLOW)
		crew_overflow_boot_stack(cpu);
	while (act == ACT_HANG)
		;
}

/* Three pages, then more than there are. */
static void take_memory(void)
{
	struct light_line line;
	size_t before = light_pages_left();
	uintptr_t one = light_pages(PAGE_SIZE);
	uintptr_t two = light_pages(2 * PAGE_SIZE);
	size_t after = light_pages_left();

	light_begin(&line, "[boot-lab] bump took");
	light_number(&line, "bytes", before - after);
	light_number(&line, "apart", two - one);
	light_number(&line, "too-many", light_pages(after + PAGE_SIZE));
	light_number(&line, "lost", after - light_pages_left());
	light_say(&line);
}

static void say_act(void)
{
	static const char *const names[] = { "none", "null", "undefined", "overflow", "hang" };
	struct light_line line;

	light_begin(&line, "[boot-lab] now ");
	light_text(&line, names[act]);
	light_say(&line);
}

/* The whole of it, on 1 KiB: no records, no threads, no stack but this. */
static void stay_light(struct thread *t)
{
	const struct cpu *cpu = t->cpu;

	crew_guard_boot_stack(cpu);
	take_memory();
	if (act)
		say_act();
	fault_light(cpu);
	if (stack_guard_words_ok(&cpu->boot_stack))
		light_end(act ? "survived" : "ok");
	light_end(protected(PROTECT_SENTINEL) ? "caught by=sentinel" : "survived");
}

#define LIGHT_PARAMS(P)                                                                            \
	P(act, 0, 0, 4, "1 null write, 2 undefined, 3 overflow, 4 hang")                           \
	CREW_PAST_PARAM(P)

LAB_LIGHT(boot, light, "plain lines, bump memory and vectors that only name, on 1 KiB",
	  LIGHT_PARAMS)
{
	act = a->act;
	crew = (struct crew){
		.boot_stack = BOOT_STACK_RESERVED,
		.stack = THREAD_STACK_DEFAULT,
		.past = a->past,
		.begin = stay_light,
	};
	crew_boot();
}
