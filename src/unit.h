/*
 * unit.h: a service as the supervisor runs it: its socket, its worker, and what outlives a worker.
 *
 * One rule starts workers: the listener (or the service's standard error) is readable and the
 * service has no worker. What a worker needs is made with the first one, so an idle service costs
 * a listener.
 */
#ifndef UDSD_UNIT_H
#define UDSD_UNIT_H

#include "config.h"
#include "listener.h"
#include "logger.h"
#include "overload.h"
#include "scoreboard.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* What the supervisor's epoll instance tells of. */
struct watch {
	enum { WATCH_SIGNALS, WATCH_LISTENER, WATCH_STDERR, WATCH_CHANNEL } kind;
	bool on;
	struct unit *unit;
};

struct unit {
	const struct service *service;
	struct listener listener;
	struct scoreboard *board; /* NULL: no worker has been started yet */
	int board_fd;
	struct log_channel log;
	int64_t log_due; /* when to hand the log process our channel again */
	int stderr_in,
		stderr_out;   /* -1: handlers' standard error does not go to the log */
	pid_t worker;         /* 0: none */
	int channel;          /* to the worker, -1: none */
	bool retiring;        /* the path is gone; who is queued is turned away */
	int64_t answer_due;   /* when a worker that owes an answer is given up */
	int64_t retire_until; /* when those who are queued are given up */
	struct overload overload; /* when to start the next worker */
	struct watch on_listener, on_stderr, on_channel;
};

/* What all units share. */
struct shared {
	int epoll;
	struct log_channel log; /* the supervisor's own */
	struct rlimit nofile;   /* for handlers */
};

/* A unit without a socket. */
void unit_init(struct unit *unit, const struct service *service);

/* Decides what is watched; call it whenever something about the unit has changed. */
void unit_watch(struct unit *unit, const struct shared *shared, int64_t now);

/* Starts a worker; when that fails the next try is put off. */
void unit_start(struct unit *unit, const struct shared *shared, int64_t now);

/* Sends the worker an order, a WORKER_*; DRAIN and REFUSE are to be answered within a second. */
void unit_order(struct unit *unit, char order, int64_t now);

/* The worker has sent something. */
void unit_answer(struct unit *unit, const struct shared *shared);

/* The worker has ended, with this wait status: logs it unless it was as it should be. */
void unit_worker_ended(struct unit *unit, const struct shared *shared, int status,
		       int64_t now);

/* Removes the path and has those who are queued turned away; then the socket is closed. To be
 * called again when the worker has ended meanwhile. */
void unit_retire(struct unit *unit, const struct shared *shared, int64_t now);

/* When unit_tick() has something to do; CLOCK_NEVER: nothing. */
int64_t unit_due(const struct unit *unit);
void unit_tick(struct unit *unit, const struct shared *shared, int64_t now);

#endif
