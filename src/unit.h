/*
 * unit.h: one generation of a service as the supervisor runs it: its socket, its worker, and what
 * outlives a worker.
 *
 * One rule starts workers: the listener (or the service's standard error) is readable and the unit
 * has no worker. What a worker needs is made with the first one, so an idle service costs a
 * listener. A unit whose service was changed, renewed or removed is `former`: its worker finishes,
 * and what it had passes to its heir, the unit of the next generation.
 */
#ifndef UDSD_UNIT_H
#define UDSD_UNIT_H

#include "config.h"
#include "listener.h"
#include "loader.h"
#include "logger.h"
#include "overload.h"
#include "scoreboard.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* What the supervisor's epoll instance tells of. */
struct watch {
	enum {
		WATCH_SIGNALS,
		WATCH_PATHS,
		WATCH_LISTENER,
		WATCH_STDERR,
		WATCH_CHANNEL,
		WATCH_CLIENT, /* control.c's own */
	} kind;
	bool on;
	struct unit *unit;
};

struct unit {
	struct unit *next;
	struct loaded *loaded; /* what `service` is in; NULL: it is the unit's own */
	const struct service *service;
	bool enabled; /* it is to have a socket: the config's word, until somebody says otherwise */
	struct listener listener;
	struct board
		*board; /* shared by generations; NULL: no worker has been started yet */
	struct log_channel log;
	int64_t log_due; /* when to hand the log process our channel again */
	int stderr_in,
		stderr_out; /* -1: handlers' standard error does not go to the log */
	pid_t worker;       /* 0: none */
	bool inetd;         /* the worker is a handler that accepts itself (wait) */
	uid_t uid;          /* of such a handler, and its gid */
	gid_t gid;
	int64_t started;      /* when it was */
	int64_t kill_at;      /* when it gets SIGKILL */
	int channel;          /* to the worker, -1: none */
	bool former;          /* starts nothing new */
	struct unit *heir;    /* waits for our worker to accept no more; NULL: nobody */
	unsigned awaits;      /* of how many former ones we are the heir */
	bool retiring;        /* the path is gone; who is queued is the last */
	bool ended;           /* its handlers got SIGTERM or SIGKILL */
	char order;           /* to whom: WORKER_FINISH, WORKER_REFUSE */
	int64_t answer_due;   /* when a worker that owes an answer is given up */
	int64_t retire_until; /* when those who are queued are given up */
	unsigned number;      /* at an upgrade, so that its descriptors find together */
	size_t orphans;       /* handlers of its dead workers (orphan.h) */
	int64_t adopt_due;    /* when to look again for those that found no memory */
	enum listener_state seen; /* of the path, when last looked at */
	bool shut;                /* somebody has shut the listening socket down */
	struct backoff backoff;   /* when to start the next worker */
	struct watch on_listener, on_stderr, on_channel;
};

/* What all units share. */
struct shared {
	int epoll;
	struct log_channel log;    /* the supervisor's own */
	struct log_channel orders; /* to the log process */
	struct rlimit nofile;      /* for handlers */
};

/* A unit without a socket, of a service that `loaded` holds; NULL: no memory. */
struct unit *unit_new(struct loaded *loaded, const struct service *service);

/* Closes and frees all. */
void unit_free(struct unit *unit, const struct shared *shared);

/* Decides what is watched; call it whenever something about the unit has changed. */
void unit_watch(struct unit *unit, const struct shared *shared, int64_t now);

/* Watches nothing, before descriptors are closed or passed on. */
void unit_unwatch(struct unit *unit, const struct shared *shared);

/* What is watched is readable: a reason to look and perhaps to start a worker. */
void unit_event(struct unit *unit, const struct shared *shared, const struct watch *watch,
		int64_t now);

/* The worker has sent something. */
void unit_answer(struct unit *unit, const struct shared *shared, int64_t now);

/* Starts a worker; when that fails the next try is put off. */
void unit_start(struct unit *unit, const struct shared *shared, int64_t now);

/* The worker has ended, with this wait status: logs it unless it was as it should be. */
void unit_worker_ended(struct unit *unit, const struct shared *shared, int status,
		       const struct rusage *usage, int64_t now);

/* Sends the worker an order, a WORKER_*; some are to be answered (worker.h). */
void unit_order(struct unit *unit, char order, int64_t now);

/* Sends the worker WORKER_END for a connection; false: it cannot be told now. */
bool unit_end(struct unit *unit, uint64_t id);

/* Whether the supervisor itself answers here, and no worker (control.h). */
bool unit_is_control(const struct unit *unit);

/* Removes the path; then who is queued is served (WORKER_FINISH) or turned away (WORKER_REFUSE), and
 * the socket is closed. To be called again when the worker has ended meanwhile. */
void unit_retire(struct unit *unit, const struct shared *shared, char order, int64_t now);

/* The worker accepts no more, or there is none: a retiring socket is closed, the heir may start. */
void unit_drained(struct unit *unit, const struct shared *shared, int64_t now);
void unit_let_heir_start(struct unit *unit, const struct shared *shared, int64_t now);

/* The listener is the heir's from now on, and so is a handler that accepts on it. The heir starts a
 * worker when ours has stopped. */
void unit_pass_listener(struct unit *unit, struct unit *heir,
			const struct shared *shared);

/* Replaced or removed: the worker drains, a listener that no heir has got is retired. */
void unit_supersede(struct unit *unit, const struct shared *shared, int64_t now);

/* Whether there is nothing left of a former unit but itself. */
bool unit_is_spent(const struct unit *unit);

/* When unit_tick() has something to do; CLOCK_NEVER: nothing. */
int64_t unit_due(const struct unit *unit);
void unit_tick(struct unit *unit, const struct shared *shared, int64_t now);

#endif
