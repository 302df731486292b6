/* The seed's chain, what stays is written where it stays. See proc/spawn_chain.h. */
#include "labs/spawn/spawn_variants.h"

#define CHAIN_SERVER init_server_boxed
#define CHAIN_BOXED 1
#define CHAIN_SCRATCH 0
#define CHAIN_FLAT 0
#define CHAIN_ROWS MAX_REGIONS
#include "proc/spawn_chain.h"
