/*
 * The boot line's meaning: global keys, then the lab's own parameters; every refusal is named.
 * Then the three ways a lab is let go: at once, by a line on the serial port, by GDB.
 */
#include "core/lab.h"

#include "arch/sysreg.h"
#include "arch/timer.h"
#include "core/cmdline.h"
#include "core/console.h"
#include "core/fault.h"
#include "core/format.h"
#include "core/inject.h"
#include "core/protect.h"
#include "core/report.h"
#include "core/string.h"
#include "core/upcall.h"

#define WATCHDOG_MS 2000
#define WATCHDOG_MAX_MS 600000

extern const struct lab *const __labs_start[];
extern const struct lab *const __labs_end[];

struct fault_site {
	uintptr_t pc;
	const char *name;
};
extern const struct fault_site __fault_sites_start[];
extern const struct fault_site __fault_sites_end[];

LINKER_SYMBOL(vectors_classic);

enum hold { HOLD_NONE, HOLD_SERIAL, HOLD_GDB };
static const char *const hold_names[] = { "none", "serial", "gdb" };

/* With hold=gdb the kernel waits until a debugger clears this. */
volatile uint32_t lab_hold;

static const struct lab *chosen;
static enum hold hold;
static uint64_t watchdog_ms = WATCHDOG_MS;
static bool list_asked;

const char *lab_fault_site(uintptr_t pc)
{
	for (const struct fault_site *s = __fault_sites_start; s < __fault_sites_end; s++)
		if (s->pc == pc)
			return s->name;
	return NULL;
}

static const struct lab *find_lab(const char *name)
{
	for (const struct lab *const *l = __labs_start; l < __labs_end; l++)
		if (strcmp((*l)->name, name) == 0)
			return *l;
	return NULL;
}

/* Why a value was refused; NULL when it was taken. The text goes into [end] bad-args. */
static const char *set_lab(const char *value)
{
	list_asked = strcmp(value, "list") == 0;
	chosen = find_lab(value);
	return chosen || list_asked ? NULL : "no such lab; lab=list prints them all";
}

/* "-guard,+canary": switch by switch, in a copy that may be cut. */
static const char *set_protect(const char *value)
{
	while (*value) {
		char item[16];
		size_t n = 0;

		while (value[n] && value[n] != ',')
			n++;
		string_copy(item, value, n < sizeof(item) ? n + 1 : sizeof(item));
		if (n >= sizeof(item) || !protect_set(item))
			return "no such switch; -NAME or +NAME, apart by commas; lab=list prints the names";
		value += n + (value[n] == ',');
	}
	return NULL;
}

static const char *set_on_fault(const char *value)
{
	on_fault_kill = strcmp(value, "kill") == 0;
	return on_fault_kill || strcmp(value, "halt") == 0 ? NULL : "halt or kill";
}

static const char *set_hold(const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(hold_names); i++) {
		if (strcmp(value, hold_names[i]) == 0) {
			hold = (enum hold)i;
			return NULL;
		}
	}
	return "none, serial or gdb";
}

static const char *set_nonce(const char *value)
{
	return strlen(value) <= 32 ? NULL : "at most 32 characters";
}

static const char *set_watchdog(const char *value)
{
	return cmdline_number(value, &watchdog_ms) && watchdog_ms && watchdog_ms <= WATCHDOG_MAX_MS
		       ? NULL
		       : "guest milliseconds, 1 to 600000";
}

static const char *set_stacks(const char *value)
{
	report_stacks_at_end = strcmp(value, "all") == 0;
	return report_stacks_at_end || strcmp(value, "none") == 0 ? NULL : "all or none";
}

/* Refuses by itself: which piece of the value is wrong, it alone knows. */
static const char *set_fault(const char *value)
{
	inject_boot_line(value);
	return NULL;
}

static const struct {
	const char *key;
	const char *(*set)(const char *value);
} global_keys[] = {
	{ "lab", set_lab },	  { "protect", set_protect }, { "on-fault", set_on_fault },
	{ "hold", set_hold },	  { "nonce", set_nonce },     { "watchdog", set_watchdog },
	{ "stacks", set_stacks }, { "fault", set_fault },
};

/* Is this a value that the parameter may have? */
static bool is_allowed(const struct param *p, uint64_t number)
{
	return number >= p->min && number <= p->max && (!p->name || p->name(number));
}

static bool read_value(const struct param *p, const char *value, uint64_t *number)
{
	if (!p->name)
		return cmdline_number(value, number) && is_allowed(p, *number);
	for (*number = p->min; is_allowed(p, *number); ++*number)
		if (strcmp(p->name(*number), value) == 0)
			return true;
	return false;
}

/* "all,block,chunk" */
static const char *names_of(const struct param *p)
{
	static char names[160];
	struct text t = { .buffer = names, .size = sizeof(names) - 1 };

	for (uint64_t n = p->min; is_allowed(p, n); n++)
		text_format(&t, n == p->min ? "%s" : ",%s", p->name(n));
	return names;
}

/* A lab's parameter; the refusal names key and value and says what is allowed. */
__attribute__((noreturn)) static void refuse_param(const struct param *p, const char *value)
{
	if (p->name)
		end("bad-args why=bad-value key=%s : \"%s\" is none of %s; %s", p->key, value,
		    names_of(p), p->help);
	end("bad-args why=out-of-range key=%s min=%lu max=%lu : \"%s\" is no number in that range; %s",
	    p->key, p->min, p->max, value, p->help);
}

static bool set_param(const struct lab *lab, const char *key, const char *value)
{
	for (size_t i = 0; i < lab->param_count; i++) {
		const struct param *p = &lab->params[i];
		uint64_t number;

		if (strcmp(p->key, key) != 0)
			continue;
		if (!read_value(p, value, &number))
			refuse_param(p, value);
		lab->values[i] = number;
		return true;
	}
	return false;
}

__attribute__((noreturn)) static void refuse_unknown(const struct lab *lab, const char *key)
{
	char keys[96] = "";
	struct text t = { .buffer = keys, .size = sizeof(keys) - 1 };

	for (size_t i = 0; i < lab->param_count; i++)
		text_format(&t, " %s", lab->params[i].key);
	end("bad-args why=unknown-key : \"%s\" is no key of %s; it takes:%s; lab=list prints all",
	    key, lab->name, lab->param_count ? keys : " none");
}

static bool set_global(const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(global_keys); i++) {
		const char *allowed;

		if (strcmp(global_keys[i].key, key) != 0)
			continue;
		allowed = global_keys[i].set(value);
		if (allowed)
			end("bad-args why=bad-value key=%s : \"%s\" is not allowed: %s", key, value,
			    allowed);
		return true;
	}
	return false;
}

static struct cmdline cmdline;

static void split(const char *line, size_t length)
{
	const char *why = cmdline_split(&cmdline, line, length);

	if (why)
		end("bad-args why=%s : at \"%s\"; a boot line is key=value words, %u at most, %u bytes in all",
		    why, cmdline.bad, CMDLINE_MAX_ITEMS, CMDLINE_MAX_BYTES);
}

/* The lab's own keys: everything that is not global. */
static void set_params(void)
{
	for (size_t i = 0; i < cmdline.count; i++) {
		const struct cmdline_item *item = &cmdline.items[i];
		bool global = false;

		for (size_t k = 0; k < ARRAY_SIZE(global_keys); k++)
			global |= strcmp(global_keys[k].key, item->key) == 0;
		if (!global && !set_param(chosen, item->key, item->value))
			refuse_unknown(chosen, item->key);
	}
}

void lab_boot_line(const char *line, size_t length)
{
	split(line, length);
	for (size_t i = 0; i < cmdline.count; i++)
		set_global(cmdline.items[i].key, cmdline.items[i].value);
	if (!chosen && !list_asked)
		end("bad-args why=no-lab : say lab=FAMILY.NAME; lab=list prints them all");
	if (chosen)
		set_params();
}

static void list_param(const struct lab *lab, const struct param *p)
{
	record_begin();
	record_add("[list] param %s %s default=%lu min=%lu max=%lu", lab->name, p->key, p->initial,
		   p->min, p->max);
	if (p->name)
		record_add(" names=%s", names_of(p));
	record_add(" : %s", p->help);
	record_end();
}

static void list(void)
{
	for (const struct lab *const *l = __labs_start; l < __labs_end; l++) {
		report("[list] lab %s : %s", (*l)->name, (*l)->sentence);
		for (size_t i = 0; i < (*l)->param_count; i++) {
			list_param(*l, &(*l)->params[i]);
		}
	}
	for (int i = 0; i < NR_PROTECTIONS; i++)
		report("[list] protect %s : %s", protect_name(i), protect_help(i));
	inject_list();
	end("ok");
}

static void add_value(const struct param *p, uint64_t value)
{
	if (p->name)
		record_add(" %s=%s", p->key, p->name(value));
	else
		record_add(" %s=%lu", p->key, value);
}

void lab_enter(const struct lab *lab)
{
	for (size_t i = 0; i < lab->param_count; i++) {
		const struct param *p = &lab->params[i];

		if (!is_allowed(p, lab->values[i]))
			end("bad-args why=out-of-range key=%s value=%lu min=%lu max=%lu : %s",
			    p->key, lab->values[i], p->min, p->max, p->help);
	}
	record_begin();
	record_add("[lab] enter name=%s", lab->name);
	for (size_t i = 0; i < lab->param_count; i++)
		add_value(&lab->params[i], lab->values[i]);
	record_add(" : %s", lab->sentence);
	record_end();
}

/* Wait for `go [key=value …]`. Anything else is answered and waited past: a person may be typing. */
static void wait_for_serial(void)
{
	char text[CMDLINE_MAX_BYTES];

	for (;;) {
		if (!console_read_line(text, sizeof(text))) {
			report("[lab] what : the line is too long");
			continue;
		}
		if (strncmp(text, "go", 2) == 0 && (text[2] == '\0' || text[2] == ' '))
			break;
		report("[lab] what : type go [key=value ...]");
	}
	split(text + 2, strlen(text + 2));
	set_params();
}

static void wait_for_gdb(void)
{
	lab_hold = 1;
	while (lab_hold)
		wfi();
}

static void wait_for_go(void)
{
	report("[lab] holding for=%s : %s", hold_names[hold],
	       hold == HOLD_SERIAL ? "type go [key=value ...]" : "set var lab_hold = 0");
	if (hold == HOLD_GDB) {
		wait_for_gdb();
		return;
	}
	timer_stop();
	wait_for_serial();
	timer_start();
}

bool lab_is_for_boot_stack(void)
{
	return chosen && chosen->on_boot_stack;
}

bool lab_is_light(void)
{
	return chosen && chosen->light;
}

void lab_main(__attribute__((unused)) void *unused)
{
	if (list_asked)
		list();
	if (hold != HOLD_NONE)
		wait_for_go();
	/* Right behind a tick: what came before, and how long it took, moves no interrupt of the lab's. */
	if (!chosen->on_boot_stack)
		sched_align();
	/* Not before: idle, which is C, would not outlive its first tick. */
	if (!protected(PROTECT_ENTRY))
		sysreg_write(vbar_el1, vectors_classic);
	if (protected(PROTECT_WATCHDOG))
		watchdog_arm(watchdog_ms);
	chosen->entry();
	end("ok");
}
