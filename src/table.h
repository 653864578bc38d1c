/*
 * table.h: a worker's own view of its live connections.
 *
 * The scoreboard's slots are the table that everybody sees; here is what finds a slot without a
 * scan: by pid, by time, and free ones. Connection i stands for slot i - 1, so that 0 is none.
 */
#ifndef UDSD_TABLE_H
#define UDSD_TABLE_H

#include "limit.h"
#include "scoreboard.h"

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

/* Connections in the order in which they got into a state, which is that of their deadlines. */
struct queue {
	uint32_t first, last;
};

struct connections {
	struct scoreboard *board;
	struct userlimit
		*limit;    /* told when a slot of another generation is free again */
	pid_t owner;       /* this process */
	uint32_t own;      /* connections of this worker */
	uint32_t nforeign; /* slots that others hold: older workers, or the supervisor */
	uint32_t *foreign;
	uint32_t free;  /* chain of free connections */
	uint32_t fresh; /* slots from here on were never looked at */
	uint32_t mask;
	uint32_t *heads;          /* hash by pid */
	struct connection *conns; /* SCOREBOARD_SLOTS + 1, touched only where used */
	struct queue queues[CONN_STATES];
};

/* A table for up to `max` connections. Finds what others hold; those count in `limit`. 0, or -1:
 * no memory. */
int connections_init(struct connections *table, struct scoreboard *board, uint32_t max,
		     struct userlimit *limit);

/* Live connections of the service, whoever holds them. */
uint32_t connections_live(const struct connections *table);

/* Looks again at what others held. */
void connections_refresh(struct connections *table);

/* Takes a free slot, reserved for the caller; 0 if there is none. It becomes a connection by
 * connections_open() once slot->pid is the handler's, or is given back by connections_cancel(). */
uint32_t connections_reserve(struct connections *table);
void connections_cancel(struct connections *table, uint32_t conn);
void connections_open(struct connections *table, uint32_t conn, int64_t now);

/* The connection has not come to be: its slot is reserved again. */
void connections_undo(struct connections *table, uint32_t conn);

/* Forgets a connection; its slot must be free already. */
void connections_close(struct connections *table, uint32_t conn);

struct slot *connections_slot(const struct connections *table, uint32_t conn);

/* The connection of a handler, 0: not one of ours. */
uint32_t connections_find(const struct connections *table, pid_t pid);

/* Moves a connection into another state. */
void connections_move(struct connections *table, uint32_t conn,
		      enum connection_state state, int64_t now);

#endif
