/* start.h: what must be there before the steady state. */
#ifndef UDSD_START_H
#define UDSD_START_H

#include "supervisor_state.h"

/* Makes the units of the config, with their sockets, and takes the pid file. 0, or the exit status;
 * what is wrong has been said. */
int start_open(struct supervisor *sup);

/* Owner, mode and backlog of sockets that were made by an earlier process of ours. */
void start_settle(struct supervisor *sup);

/* Logs that it has begun, and what listens. */
void start_tell(struct supervisor *sup);

/* Says on standard error what went wrong. Returns the status. */
int start_error(int status, const char *what, const char *why);

#endif
