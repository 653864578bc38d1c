/*
 * worker_state.h: what the rooms of a worker share: worker.c (the loop), client.c (beginnings),
 * reaper.c (ends).
 */
#ifndef UDSD_WORKER_STATE_H
#define UDSD_WORKER_STATE_H

#include "config.h"
#include "handler.h"
#include "limit.h"
#include "overload.h"
#include "peer.h"
#include "relay.h"
#include "table.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A worker's descriptors, low ones: their table is copied with each handler. */
enum { LISTENER = 3, CHANNEL, LOG, STDERR_OUT, SIGNALS, FDS };

#define HANDS \
 8 /* clients that may be between accept and their handlers' first instruction */

enum hand_state { HAND_EMPTY, HAND_HELD, HAND_STARTED };

/* A client on its way to its handler. */
struct hand {
	enum hand_state state; /* held: there is no process or memory for it yet */
	int fd;
	uint32_t conn; /* its slot; 0: it has none yet */
	struct spawn *handler;
};

#define DEAD 32 /* children that are waited for in one turn */

/* A child that has ended. */
struct dead {
	pid_t pid;
	int status;
	struct rusage usage;
};

struct worker {
	const struct service *service;
	struct counters *counters;
	struct userlimit *limit;
	struct stderr_relay *relay; /* NULL: stderr does not go to the log */
	struct connections table;
	struct backoff backoff; /* when to try again what failed */
	bool accepting;         /* false: draining */
	bool refusing;          /* nobody is held any more */
	bool alone;             /* the supervisor has gone */
	bool shut;              /* the listening socket has been shut down */
	bool relaying;          /* it is here for standard error only */
	int64_t finish_at; /* when those still queued are given up; CLOCK_NEVER: not draining */
	bool deaf;         /* nothing comes from handlers' standard error any more */
	bool want_groups;
	struct hand hands[HANDS];
	unsigned held, started; /* how many hands are in these states */
	unsigned hands_max;     /* that may be started at once */
	struct dead dead[DEAD]; /* not buried yet */
	unsigned ndead;
	bool queued;      /* more clients wait, as far as we know */
	struct peer peer; /* of the client that was accepted last */
	struct sockaddr_un from;
	socklen_t from_len;
	int64_t now;    /* of this turn */
	int64_t active; /* when the last thing happened that keeps it from being idle */
	int64_t refresh_at; /* no look at others' slots before */
	int64_t sweep_at;   /* when to look for children whose SIGCHLD was merged */
};

#endif
