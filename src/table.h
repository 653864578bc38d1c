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

enum conn_state {
	CONN_RUNNING,
	CONN_TERMINATED, /* got SIGTERM; gets SIGKILL at its deadline */
	CONN_KILLED,
	CONN_STATES,
};

struct conn {
	pid_t pid;      /* its handler, the leader of a process group */
	uint32_t chain; /* the next with the same hash of pid, or the next free one */
	uint32_t before, after; /* in the queue of its state */
	enum conn_state state;
	int64_t since; /* when it got into this state */
};

/* Connections in the order in which they got into a state, which is that of their deadlines. */
struct queue {
	uint32_t first, last;
};

struct table {
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
	uint32_t *heads;    /* hash by pid */
	struct conn *conns; /* SCOREBOARD_SLOTS + 1, touched only where used */
	struct queue queues[CONN_STATES];
};

/* A table for up to `max` connections. Finds what others hold; those count in `limit`. 0, or -1:
 * no memory. */
int table_init(struct table *table, struct scoreboard *board, uint32_t max,
	       struct userlimit *limit);

/* Live connections of the service, whoever holds them. */
uint32_t table_live(const struct table *table);

/* Looks again at what others held. */
void table_refresh(struct table *table);

/* Takes a free slot, reserved for the caller; 0 if there is none. It becomes a connection by
 * table_open() once slot->pid is the handler's, or is given back by table_cancel(). */
uint32_t table_reserve(struct table *table);
void table_cancel(struct table *table, uint32_t conn);
void table_open(struct table *table, uint32_t conn, int64_t now);

/* The connection has not come to be: its slot is reserved again. */
void table_undo(struct table *table, uint32_t conn);

/* Forgets a connection; its slot must be free already. */
void table_close(struct table *table, uint32_t conn);

struct slot *table_slot(const struct table *table, uint32_t conn);

/* The connection of a handler, 0: not one of ours. */
uint32_t table_find(const struct table *table, pid_t pid);

/* Moves a connection into another state. */
void table_move(struct table *table, uint32_t conn, enum conn_state state, int64_t now);

#endif
