/* What is there before anything is made: CPU 0, the context it boots in, a row for each other CPU. */
#include "base/cpu.h"

#include "arch/marks.h"

struct cpu boot_cpu;
struct cpu *cpus[NR_CPUS] = { &boot_cpu };
struct emergency emergency[NR_CPUS];
struct thread boot_thread;
uint64_t boot_marks[NR_MARKS];
