/*
 * The fs server: a kernel thread that answers for the files of the initrd, one message a time. Files are
 * opened, read in pieces of at most 1 KiB, and closed; who opened must close.
 */
#ifndef PROC_FS_H
#define PROC_FS_H

#include "proc/ipc.h"

extern struct endpoint fs_endpoint;
extern unsigned int fs_open_files; /* opened and not yet closed */

enum fs_request {
	FS_OPEN,  /* data: name → words[0]: file; ERROR_NO_FILE */
	FS_SIZE,  /* words: file → words[1]: bytes */
	FS_READ,  /* words: file, offset, bytes → data; ERROR_NUMBER outside of the file */
	FS_CLOSE, /* words: file */
};

/* The server's thread function. */
void fs_server(void *unused);

/* A lab's own code in the server, while it serves a read; NULL: none. */
extern void (*fs_read_hook)(void);

#endif
