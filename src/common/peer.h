/* peer.h: user, groups and process of a client, as the kernel recorded them at
 * connect(2). */
#ifndef UDSD_PEER_H
#define UDSD_PEER_H

#include "common/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct peer {
	uid_t uid;      /* effective uid */
	gid_t gid;      /* effective gid */
	pid_t pid;      /* for the log only: it may be another process's by now */
	size_t ngroups; /* entries in groups */
	gid_t *groups;  /* supplementary groups; valid until the next peer_read() */
};

/* Fills in `peer` for a connected socket; the groups only if asked for. 0, or -1 and
 * errno. */
int peer_read(int fd, bool want_groups, struct peer *peer);

/* Adds the peer's ids to a log line. */
void peer_log(struct log_line *line, const struct peer *peer);

/* Whether the client has disconnected and left nothing to read: no process is worth
 * starting. A client that only closed its writing side (half-closed) is connected. */
bool peer_disconnected(int fd);

/* Ends a connection of this type (SOCK_*) that is not served: sends `message` (may be
 * NULL), then a clean end of file. Never blocks, never resets, and closes fd. */
void peer_reject(int fd, int type, const char *message);

/* close(2), but with a timer if the client may have sent descriptors: linger.h. */
void peer_close(int fd);

#endif
