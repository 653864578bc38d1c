/* pidfile.h: says which process runs, and that no second one does. */
#ifndef UDSD_PIDFILE_H
#define UDSD_PIDFILE_H

/* Makes (with its directories), locks and writes a pid file. Its descriptor, to be kept open, or -1
 * and errno; EWOULDBLOCK: another process holds it. The lock is fcntl's: children have no part in
 * it, and it falls with any descriptor of the file that this process closes. */
int pidfile_take(const char *path);

/* Removes it, if it still is what `fd` holds, and closes it. */
void pidfile_release(const char *path, int fd);

#endif
