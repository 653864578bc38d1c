/* startup.h: from a loaded config to open sockets. */
#ifndef UDSD_STARTUP_H
#define UDSD_STARTUP_H

#include <stdbool.h>
#include <stdint.h>

/* Blocks every signal and ignores none: children inherit that. A signalfd for those that
 * steer the supervisor, or -1 and errno. */
int startup_signals(void);

/* Raises the soft limit of descriptors as far as may be: a thousand services want more
 * than the usual one. Handlers are to have what it was (instance_nofile). 0, or -1 and
 * errno: that is not known. */
int startup_limit(void);

/* Makes the instances of the config, with their sockets, and takes the pid file. 0, or
 * the exit status; what is wrong has been said. */
int startup_open(void);

/* Takes over what an earlier supervisor has left, and logs that udsd serves. */
void startup_serve(int64_t now);

/* Says on standard error what went wrong. Returns the status. */
int startup_error(int status, const char *what, const char *why);

#endif
