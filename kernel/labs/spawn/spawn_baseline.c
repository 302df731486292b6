/* The seed's chain, nothing cured. See proc/spawn_chain.h. */
#include "labs/spawn/spawn_variants.h"

#define CHAIN_SERVER init_server_baseline
#define CHAIN_BOXED 0
#define CHAIN_SCRATCH 0
#define CHAIN_FLAT 0
#define CHAIN_ROWS MAX_REGIONS
#include "proc/spawn_chain.h"
