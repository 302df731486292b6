/* The seed's chain, one message buffer passed down. See proc/spawn_chain.h. */
#include "labs/spawn/spawn_variants.h"

#define CHAIN_SERVER init_server_scratch
#define CHAIN_BOXED 0
#define CHAIN_SCRATCH 1
#define CHAIN_FLAT 0
#define CHAIN_ROWS MAX_REGIONS
#include "proc/spawn_chain.h"
