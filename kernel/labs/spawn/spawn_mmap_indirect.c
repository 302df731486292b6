/* The seed's chain, the mmap regions on the heap. See proc/spawn_chain.h. */
#include "labs/spawn/spawn_variants.h"

#define CHAIN_SERVER init_server_mmap_indirect
#define CHAIN_BOXED 0
#define CHAIN_SCRATCH 0
#define CHAIN_FLAT 0
#define CHAIN_ROWS 0
#include "proc/spawn_chain.h"
