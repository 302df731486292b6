/* The seed's chain, the wrapper merged. See proc/spawn_chain.h. */
#include "labs/spawn/spawn_variants.h"

#define CHAIN_SERVER init_server_flat
#define CHAIN_BOXED 0
#define CHAIN_SCRATCH 0
#define CHAIN_FLAT 1
#define CHAIN_ROWS MAX_REGIONS
#include "proc/spawn_chain.h"
