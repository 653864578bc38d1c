/* pidfile.h: the locked pid file, which keeps a second supervisor from running. */
#ifndef UDSD_PIDFILE_H
#define UDSD_PIDFILE_H

#include <stdbool.h>

/* Makes (with its directories), locks and writes a pid file. Its descriptor, to be kept
 * open, or -1 and errno; EWOULDBLOCK: another process holds it. The lock is fcntl's:
 * children have no part in it, and it falls with any descriptor of the file that this
 * process closes. */
int pidfile_take(const char *path);

/* Whether `fd` is what is at the path. */
bool pidfile_is_at(const char *path, int fd);

/* Removes it, if it still is what `fd` holds, and closes it. */
void pidfile_release(const char *path, int fd);

/* The same, for a file whose path is known to the kernel only. */
void pidfile_drop(int fd);

#endif
