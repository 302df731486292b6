/* init as it was, and with each of the seed's cures alone: the same server, compiled from the same source. */
#ifndef LABS_SPAWN_SPAWN_VARIANTS_H
#define LABS_SPAWN_SPAWN_VARIANTS_H

void init_server_baseline(void *unused);
void init_server_boxed(void *unused);
void init_server_scratch(void *unused);
void init_server_flat(void *unused);
void init_server_mmap64(void *unused);
void init_server_mmap_indirect(void *unused);

#endif
