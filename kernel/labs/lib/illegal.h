/* The plainest illegal acts, each at a named site. */
#ifndef LABS_LIB_ILLEGAL_H
#define LABS_LIB_ILLEGAL_H

/* Store to address 8. Site: null_write. */
void write_null(void);

#endif
