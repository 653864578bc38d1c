/*
 * listener.h: a listening socket and its path.
 *
 * A path is ours from bind() until listener_remove(); it is removed only if it still is the socket
 * that we bound (device and inode, compared while the socket is open). A stale socket in the way
 * is replaced; anything else is left alone.
 */
#ifndef UDSD_LISTENER_H
#define UDSD_LISTENER_H

#include "config.h"

#include <sys/types.h>

struct listener {
	int fd;       /* -1: none */
	dev_t device; /* of the path; not used for abstract names */
	ino_t inode;
};

/* Creates the socket of a service: parent directories, bind, owner, mode, listen, in this order.
 * 0, or -1, errno and *step, what failed. EADDRINUSE: somebody else serves the path, or something
 * that is not a socket is there. The socket does not block. */
int listener_open(const struct service *service, struct listener *listener,
		  const char **step);

/* Removes the path if it is still ours. The socket stays open: who is queued is not lost. */
void listener_remove(const struct service *service, const struct listener *listener);

void listener_close(struct listener *listener);

/* Makes the missing directories above `path`. 0, or -1 and errno. */
int listener_make_parents(const char *path, mode_t mode);

#endif
