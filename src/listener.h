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

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct listener {
	int fd;         /* -1: none */
	dev_t device;   /* of the path; 0 for abstract names */
	ino_t inode;    /* of the path; of an abstract one's socket itself */
	int64_t since;  /* when it was made, CLOCK_MONOTONIC */
	bool foreign;   /* a socket unit's of systemd: its path is not our affair */
	bool hidden;    /* its path was moved out of another's way */
	bool stored;    /* the service manager holds it too (notify.h) */
	int wd, dir_wd; /* inotify's watches (path.h); -1: none */
};

/* What is at a listener's path. */
enum listener_state {
	LISTENER_OURS,
	LISTENER_GONE,
	LISTENER_FOREIGN, /* something else */
};

/* Creates the socket of a service: parent directories, bind, owner, mode, listen, in this order.
 * 0, or -1, errno and *step, what failed. EADDRINUSE: somebody else serves the path (and still did
 * at the time `until`), or something that is not a socket is there. The socket does not block. */
int listener_open(const struct service *service, struct listener *listener, int64_t until,
		  const char **step);

/* Takes over `fd` if it is a listening socket of the service's type and (unless `any_path`) at its path.
 * `own`: it is one of ours, and l->device and l->inode say which; else a socket unit's. 0, or -1: it
 * is something else and stays the caller's. */
int listener_adopt(const struct service *service, struct listener *listener, int fd,
		   bool own, bool any_path);

/* Gives the path and socket the service's owner, mode and backlog; while it is at it nobody may
 * connect who may not before and after. 0, or -1, errno and *step. A path that is not ours any more
 * is left alone. */
int listener_apply(const struct service *service, const struct listener *listener,
		   const char **step);

/* Looks at the path. */
enum listener_state listener_look(const struct service *service,
				  const struct listener *listener);

/* Moves the path out of the way of another socket that is to have it, or back. 0, or -1 and errno. */
int listener_hide(const struct service *service, struct listener *listener, bool hide);

/* Removes the path if it is still ours. The socket stays open: who is queued is not lost. */
void listener_remove(const struct service *service, const struct listener *listener);

void listener_close(struct listener *listener);

#endif
