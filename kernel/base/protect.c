/* The table of protections and their state. See protect.h. */
#include "base/protect.h"

#include "base/string.h"

static const struct {
	const char *name;
	const char *help;
} table[NR_PROTECTIONS] = {
	[PROTECT_GUARD] = { "guard", "unmapped pages below and above every stack" },
	[PROTECT_ENTRY] = { "entry",
			    "the exception entry pushes on no thread's stack, and saves every register" },
	[PROTECT_PREEMPT] = { "preempt",
			      "a tick takes the CPU from a thread that does not give it up" },
	[PROTECT_SENTINEL] = { "sentinel",
			       "guard words at a stack's bottom, checked at tick, switch and exit" },
	[PROTECT_SP_CHECK] = { "sp-check",
			       "a thread's SP is in its stack and aligned, at tick and switch" },
	[PROTECT_BT_CHECK] = { "bt-check",
			       "a backtrace believes only records in known stacks, upwards" },
	[PROTECT_CANARY] = { "canary",
			     "a secret canary for each thread; off, labs call the twin without a canary" },
	[PROTECT_PAC] = { "pac",
			  "return addresses are signed (-cpu max, and functions built for it)" },
	[PROTECT_SHADOW] = { "shadow", "labs call the function built with a shadow call stack" },
	[PROTECT_WATERMARK] = { "watermark",
				"paint in unused stack, to measure the high-water mark" },
	[PROTECT_ERASE] = { "erase", "what a deep call left below SP is painted over" },
	[PROTECT_EMERGENCY] = { "emergency", "a fault in a handler takes a stack of its own" },
	[PROTECT_LIGHT] = { "light", "the light environment's vectors name an exception" },
	[PROTECT_WATCH] = { "watch", "a watchpoint guards a boot stack that no guard page can" },
	[PROTECT_WATCHDOG] = { "watchdog", "a timer that ends what hangs" },
	[PROTECT_POOL_LIMIT] = { "pool-limit",
				 "an empty pool refuses; off, it hands out the memory behind its end" },
	[PROTECT_POOL_CHECK] = { "pool-check",
				 "a pool takes back only what it gave out, once, to its first byte" },
	[PROTECT_POOL_LINK] = { "pool-link",
				"a free list's links are sealed; off, any word is followed" },
	[PROTECT_POISON] = { "poison",
			     "freed blocks are filled, and looked at before they are given out" },
	[PROTECT_REDZONE] = { "redzone",
			      "words around each block of a pool, looked at when it is freed" },
	[PROTECT_OBJECT_PAGE] = { "object-page",
				  "a pool with pages for each block unmaps what nobody may touch" },
	[PROTECT_MTE] = { "mte", "tags are checked at each access (-M virt,mte=on -cpu max)" },
	[PROTECT_HEAP_CHECK] = { "heap-check",
				 "the heap refuses what it has not, and a free of what is no block in use" },
	[PROTECT_PAGE_CHECK] = { "page-check",
				 "a free page is unmapped, freed once, and given out while there is one" },
	[PROTECT_LEAK_CHECK] = { "leak-check",
				 "what a refused operation still holds is found, with who took it" },
	[PROTECT_GROWTH] = { "growth", "stacks that are made to grow do grow" },
	[PROTECT_GROW_SP] = { "grow-sp", "a stack grows only for an access at or near SP" },
	[PROTECT_GROW_MASKED] = { "grow-masked",
				  "no stack grows while its thread has interrupts masked" },
	[PROTECT_GROW_LOCKED] = { "grow-locked", "no stack grows while its thread holds a lock" },
	[PROTECT_GROW_HANDLER] = { "grow-handler", "no stack grows for an exception handler" },
	[PROTECT_RETIRE] = { "retire", "the old place of a stack that was copied is unmapped" },
	[PROTECT_RESERVE_LOCK] = { "reserve-lock",
				   "one CPU at a time takes pages for a stack that grows" },
	[PROTECT_STACKS_LOCK] = { "stacks-lock", "one CPU at a time changes the list of stacks" },
	[PROTECT_CONSOLE_LOCK] = { "console-lock", "one CPU at a time writes to the serial line" },
	[PROTECT_LIGHT_LOCK] = { "light-lock",
				 "one CPU at a time takes pages in the light environment" },
	[PROTECT_PERMANENT_LOCK] = { "permanent-lock",
				     "one CPU at a time maps its permanent stacks" },
	[PROTECT_FAULT_TURN] = { "fault-turn", "one CPU at a time reports a fault" },
	[PROTECT_ONE_END] = { "one-end",
			      "of two CPUs that end the machine, the first has the last word" },
	[PROTECT_IDLE_TICK] = { "idle-tick", "nobody waits for a tick that does not come" },
	[PROTECT_PATCH_ALONE] = { "patch-alone",
				  "while other CPUs run, nothing is patched but a NOP or a branch" },
	[PROTECT_PAN] = { "pan", "a process's memory is out of reach while the kernel runs" },
	[PROTECT_PXN] = { "pxn", "a process's code is no code to the kernel" },
	[PROTECT_USERACCESS] = { "useraccess",
				 "what a system call is pointed at is looked up as EL0 sees it" },
	[PROTECT_ELF_CHECK] = { "elf-check",
				"a program's kind, segments, W^X and entry are checked" },
};

bool protect_off[NR_PROTECTIONS];

bool protect_set(const char *item)
{
	for (int i = 0; i < NR_PROTECTIONS; i++) {
		if (strcmp(item + 1, table[i].name) == 0 && (*item == '-' || *item == '+')) {
			protect_off[i] = *item == '-';
			return true;
		}
	}
	return false;
}

const char *protect_name(enum protection which)
{
	return table[which].name;
}

const char *protect_help(enum protection which)
{
	return table[which].help;
}
