/* The boot line's meaning: global keys, then the lab's own parameters; every refusal is named. */
#include "lab/boot_line.h"

#include "arch/timer.h"
#include "base/cmdline.h"
#include "base/protect.h"
#include "base/string.h"
#include "lab/lab.h"
#include "lab/param.h"
#include "report/fault.h"
#include "report/inject.h"
#include "report/report.h"

/*
 * Guest time. With -icount no scenario takes 100 ms, and one that waits for CPUs sets its own; 250 million
 * instructions are the few seconds that a person waits. Without, it is the host's time, and a busy host
 * may need a hundred times as long.
 */
#define WATCHDOG_MS 250
#define WATCHDOG_HOST_MS 10000
#define WATCHDOG_MAX_MS 600000

struct boot_line boot_line;

uint64_t boot_line_watchdog_ms(void)
{
	if (boot_line.watchdog_ms)
		return boot_line.watchdog_ms;
	return timer_is_exact() ? WATCHDOG_MS : WATCHDOG_HOST_MS;
}

const char *const hold_names[] = { "none", "serial", "gdb" };

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
	boot_line.list = strcmp(value, "list") == 0;
	boot_line.lab = find_lab(value);
	return boot_line.lab || boot_line.list ? NULL : "no such lab; lab=list prints them all";
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
			boot_line.hold = (enum hold)i;
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
	return cmdline_number(value, &boot_line.watchdog_ms) && boot_line.watchdog_ms &&
			       boot_line.watchdog_ms <= WATCHDOG_MAX_MS
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

/* lab=list takes no keys of its own. */
static const struct lab list = { .name = "list" };

/* The lab's own keys: everything that is not global. */
static void set_params(const struct lab *lab, bool at_boot)
{
	for (size_t i = 0; i < cmdline.count; i++) {
		const struct cmdline_item *item = &cmdline.items[i];
		bool global = false;

		for (size_t k = 0; k < ARRAY_SIZE(global_keys); k++)
			global |= strcmp(global_keys[k].key, item->key) == 0;
		if (!global)
			param_set(lab, item->key, item->value);
		else if (!at_boot)
			end("bad-args why=too-late key=%s : it belongs on the boot line; go takes the lab's own keys",
			    item->key);
	}
}

void boot_line_go(const char *line)
{
	split(line, strlen(line));
	set_params(boot_line.lab, false);
}

void lab_boot_line(const char *line, size_t length)
{
	split(line, length);
	for (size_t i = 0; i < cmdline.count; i++)
		set_global(cmdline.items[i].key, cmdline.items[i].value);
	if (!boot_line.lab && !boot_line.list)
		end("bad-args why=no-lab : say lab=FAMILY.NAME; lab=list prints them all");
	set_params(boot_line.lab ? boot_line.lab : &list, true);
}
