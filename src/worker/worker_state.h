/*
 * worker_state.h: the state that the files of a worker share: worker.c (the loop),
 * accept.c (accept), launch.c (starts), reaper.c (ends).
 */
#ifndef UDSD_WORKER_STATE_H
#define UDSD_WORKER_STATE_H

#include "common/backoff.h"
#include "common/peer.h"
#include "config/config.h"
#include "worker/connections.h"
#include "worker/setup.h"
#include "worker/spawn.h"
#include "worker/stderr.h"
#include "worker/userlimit.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A worker's descriptors, low ones: their table is copied with each handler. */
enum { LISTENER = SETUP_FIRST, CHANNEL, LOG, STDERR_OUT, SIGNALS, FDS };

/* Clients that may be between accept and their handlers' first instruction. */
#define LAUNCHES 8

enum launch_state {
	LAUNCH_UNUSED,
	LAUNCH_HELD, /* there is no process or memory for it yet */
	LAUNCH_STARTED,
	LAUNCH_STATES,
};

/* A client on its way to its handler. */
struct launch {
	enum launch_state state;
	int fd;
	uint32_t slot; /* 0: none yet */
	struct spawn *spawn;
};

#define EXITED 32 /* children that are waited for in one turn */

/* A child that has exited. */
struct exited {
	pid_t pid;
	int status;
	struct rusage usage;
};

struct worker {
	const struct service *service;
	struct counters *counters;
	struct userlimit *limit;
	struct stderr_relay *relay; /* NULL: stderr does not go to the log */
	struct connections connections;
	struct backoff backoff; /* when to try again what failed */
	bool accepting;         /* false: draining */
	bool refusing;          /* no client is held any more */
	bool orphaned;          /* the supervisor has exited */
	bool shut;              /* the listening socket has been shut down */
	bool relaying;          /* it is here for standard error only */
	bool stderr_closed; /* a handler has shut down what all have as standard error */
	bool want_groups;
	bool pending;      /* more clients are, as far as is known */
	int64_t finish_at; /* when the backlog is given up; CLOCK_NEVER: not draining */
	struct launch launches[LAUNCHES];
	/* how many launches; not kept for unused ones */
	unsigned in_state[LAUNCH_STATES];
	unsigned launches_max;        /* that may be started at once */
	struct exited exited[EXITED]; /* not reaped yet */
	unsigned nexited;
	struct peer peer; /* of the client that was accepted last */
	struct sockaddr_un from;
	struct environment_call call; /* all that is known of it */
	int64_t now;                  /* of this turn */
	int64_t active; /* when the last thing happened that keeps it from being idle */
	int64_t refresh_at; /* no look at others' slots before */
	int64_t sweep_at;   /* when to look for children with a merged SIGCHLD */
};

#endif
