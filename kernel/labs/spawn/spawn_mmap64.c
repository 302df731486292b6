/* The seed's chain, 64 mmap regions in a process, not 256. See proc/spawn_chain.h. */
#include "labs/spawn/spawn_variants.h"

#define CHAIN_SERVER init_server_mmap64
#define CHAIN_BOXED 0
#define CHAIN_SCRATCH 0
#define CHAIN_FLAT 0
#define CHAIN_ROWS 64
#include "proc/spawn_chain.h"
