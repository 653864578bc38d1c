/*
 * connections.h: a worker's index of its live connections.
 *
 * The slots of the scoreboard are shared with the supervisor and older workers; here is
 * what finds one without a scan: by pid, by time, and free ones. Slots are numbered from
 * 1, so that 0 is none.
 */
#ifndef UDSD_CONNECTIONS_H
#define UDSD_CONNECTIONS_H

#include "common/scoreboard.h"
#include "worker/userlimit.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum connection_state {
	CONN_RUNNING,
	CONN_TERMINATED, /* got SIGTERM; gets SIGKILL at its deadline */
	CONN_KILLED,
	CONN_STATES,
};

struct connection {
	pid_t pid;      /* its handler, the leader of a process group */
	uint32_t chain; /* the next with the same hash of pid, or the next free one */
	uint32_t before, after; /* in the queue of its state */
	enum connection_state state;
	int64_t since; /* when it got into this state */
};

/* Connections in the order in which they got into a state, which is that of their
 * deadlines. */
struct queue {
	uint32_t first, last;
};

struct connections {
	struct scoreboard *board;
	/* a slot of another generation is given back to it when it is free again */
	struct userlimit *limit;
	pid_t owner;           /* this process */
	uint32_t own;          /* connections of this worker */
	uint32_t nforeign;     /* slots that older workers or the supervisor hold */
	uint32_t *foreign;     /* they */
	uint32_t free;         /* chain of free slots */
	uint32_t fresh;        /* slots from here on were never looked at */
	uint32_t mask;         /* of the hash */
	uint32_t *heads;       /* hash by pid */
	struct connection *at; /* SCOREBOARD_SLOTS + 1, touched only where used */
	struct queue queues[CONN_STATES];
};

/* For up to `max` connections. Finds the slots that others hold; those count in `limit`.
 * 0, or -1: out of memory. */
int connections_init(struct connections *connections, struct scoreboard *board,
		     uint32_t max, struct userlimit *limit);

/* Live connections of the service, of all its processes. */
uint32_t connections_live(const struct connections *connections);

/* Looks again at what others held. */
void connections_refresh(struct connections *connections);

/* Takes a free slot, reserved for this worker; 0 if there is none. It becomes a
 * connection by connections_open() once the handler's pid is in the slot, or is given
 * back by connections_cancel(). */
uint32_t connections_reserve(struct connections *connections);
void connections_cancel(struct connections *connections, uint32_t slot);
void connections_open(struct connections *connections, uint32_t slot, int64_t now);

/* The start has failed: the slot is reserved again. */
void connections_undo(struct connections *connections, uint32_t slot);

/* Forgets a connection; its slot must be free already. */
void connections_close(struct connections *connections, uint32_t slot);

/* What the scoreboard has in a slot. */
struct slot *connections_slot(const struct connections *connections, uint32_t slot);

/* The slot of a handler, 0: not one of this worker's. */
uint32_t connections_find(const struct connections *connections, pid_t pid);

/* Moves a connection into another state. */
void connections_move(struct connections *connections, uint32_t slot,
		      enum connection_state state, int64_t now);

#endif
