/* Signed return addresses (FEAT_PAuth), for the labs: always built for, switched on by this. */
#ifndef LABS_LIB_SIGN_H
#define LABS_LIB_SIGN_H

/* Give this CPU a key and let it sign, unless protect=-pac. Ends in bad-args on a CPU that cannot. */
void sign_returns(void);

#endif
