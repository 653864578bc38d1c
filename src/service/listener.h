/*
 * listener.h: a listening socket and its path.
 *
 * A path is ours from bind() until listener_remove(); it is removed only if it still is
 * the socket that we bound (device and inode, compared while the socket is open). A stale
 * socket in the way is replaced; anything else is left alone.
 */
#ifndef UDSD_LISTENER_H
#define UDSD_LISTENER_H

#include "config/config.h"
#include "common/failure.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct listener {
	int fd;         /* -1: none */
	dev_t device;   /* of the path; 0 for abstract names */
	ino_t inode;    /* of the path; of an abstract one's socket itself */
	int64_t since;  /* when it was made, CLOCK_MONOTONIC */
	bool foreign;   /* a socket unit's of systemd: its path is left to that */
	bool hidden;    /* its path was moved out of another's way */
	bool stored;    /* the service manager holds it too (sdnotify.h) */
	int wd, dir_wd; /* inotify's watches (pathwatch.h); -1: none */
};

/* What is at a listener's path. */
enum listener_state {
	LISTENER_OURS,
	LISTENER_GONE,
	LISTENER_FOREIGN, /* something else */
};

/* Creates the socket of a service: parent directories, bind, owner, mode, listen, in this
 * order. EADDRINUSE: another process serves the path (and still did at the time `until`),
 * or something that is not a socket is there. The socket does not block. */
struct failure listener_open(const struct service *service, struct listener *listener,
			     int64_t until);

/* Takes over `fd` if it is a listening socket of the service's type and (unless
 * `any_path`) at its path. `own`: it is one of ours, and l->device and l->inode say
 * which; else a socket unit's. 0, or -1: it is something else and stays the caller's. */
int listener_adopt(const struct service *service, struct listener *listener, int fd,
		   bool own, bool any_path);

/* Gives the path and socket the service's owner, mode and backlog; at no moment may a
 * user connect who may connect neither before nor after. A path that is not ours any more
 * is left alone. */
struct failure listener_apply(const struct service *service,
			      const struct listener *listener);

/* Looks at the path. */
enum listener_state listener_look(const struct service *service,
				  const struct listener *listener);

/* Moves the path out of the way of another socket that is to have it, or back. 0, or -1
 * and errno. */
int listener_hide(const struct service *service, struct listener *listener, bool hide);

/* Removes the path if it is still ours. The socket stays open: no pending connection is
 * dropped. */
void listener_remove(const struct service *service, const struct listener *listener);

void listener_close(struct listener *listener);

/* Logs that the service's socket accepts connections now. */
void listener_log(const struct service *service);

#define LISTENER_NAME 256 /* bytes of a name, with its end */

/* The name of a socket of ours as a passed descriptor: its path's identity and its time
 * of birth. */
void listener_name(const struct listener *listener, char name[LISTENER_NAME]);

/* Reads such a name. False: it is none. */
bool listener_parse_name(const char *name, struct listener *listener);

#endif
