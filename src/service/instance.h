/*
 * instance.h: one generation of a service: its socket, its worker, and what outlives a
 * worker.
 *
 * One rule starts workers: the listener (or the service's standard error) is readable and
 * the instance has no worker. What a worker needs is made with the first one, so an idle
 * service costs a listener. lifecycle.h decides what follows from events, and how an
 * instance ends.
 */
#ifndef UDSD_INSTANCE_H
#define UDSD_INSTANCE_H

#include "config/config.h"
#include "common/events.h"
#include "service/listener.h"
#include "config/loader.h"
#include "common/log_channel.h"
#include "common/backoff.h"
#include "common/scoreboard.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

enum instance_state {
	INSTANCE_CURRENT,
	INSTANCE_STOPPING,   /* udsd ends; its pending connections are the last */
	INSTANCE_SUPERSEDED, /* its service was changed, renewed or removed */
};

struct instance {
	struct instance *next;
	struct loaded *loaded; /* what `service` is in; NULL: it is the instance's own */
	const struct service *service;
	enum instance_state state;
	struct problem problem; /* see problem.h; its texts are the instance's */
	bool in_force;          /* apply.c: the config to come keeps it */
	/* It is to have a socket: the config's word, until an administrator says
	 * otherwise. */
	bool enabled;
	struct listener listener;
	enum listener_state seen; /* of the path, when last looked at */
	bool listener_shut;       /* a process has shut the listening socket down */
	/* Shared by generations; NULL: no worker has been started yet. */
	struct board *board;
	struct log_channel log;
	int64_t log_due; /* when to pass the channel to the log process again */
	/* Handlers' standard error, if it goes to the log; else -1. */
	int stderr_in, stderr_out;
	pid_t worker;      /* 0: none */
	bool wait_handler; /* the worker is a handler that accepts itself */
	uid_t uid;         /* of such a handler, and its gid */
	gid_t gid;
	bool handler_ended; /* it got SIGTERM or SIGKILL */
	int64_t started;    /* when the worker was */
	int64_t kill_at;    /* when such a handler gets SIGKILL */
	int channel;        /* to the worker, -1: none */
	/* Waits for our worker to accept no more; NULL: none. */
	struct instance *successor;
	unsigned predecessors; /* that it is the successor of */
	char order; /* to whom pending connections go: WORKER_FINISH, WORKER_REFUSE */
	int64_t answer_due;     /* when a worker that owes an answer is killed */
	int64_t retire_until;   /* when pending connections are closed */
	unsigned number;        /* at an upgrade, so that its descriptors find together */
	size_t orphans;         /* handlers of its exited workers (orphans.h) */
	int64_t adopt_due;      /* when to look again for those that were out of memory */
	struct backoff backoff; /* when to start the next worker */
	struct watch on_listener, on_stderr, on_channel;
};

static inline bool instance_is_superseded(const struct instance *i)
{
	return i->state == INSTANCE_SUPERSEDED;
}

/* Whether the listener's pending connections are the last. */
static inline bool instance_is_retiring(const struct instance *i)
{
	return i->state != INSTANCE_CURRENT && i->listener.fd >= 0;
}

/* Whether the supervisor itself answers here, and no worker (control.h). */
static inline bool instance_is_control(const struct instance *i)
{
	return i->service->handler == NULL;
}

/* The limit of descriptors that handlers are to have. */
extern struct rlimit instance_nofile;

/* An instance without a socket, of a service that `loaded` holds; NULL: out of memory. */
struct instance *instance_new(struct loaded *loaded, const struct service *service);

/* Counts what the log process could not write of its lines for the service. */
void instance_count_unwritten(struct instance *instance);

/* Closes and frees all. */
void instance_free(struct instance *instance);

/* Whether there is nothing left of a superseded instance but itself. */
bool instance_is_finished(const struct instance *instance);

/* Decides what is watched; call it whenever something about the instance has changed. */
void instance_watch(struct instance *instance, int64_t now);

/* Watches nothing, before descriptors are closed or passed on. */
void instance_unwatch(struct instance *instance);

/* When it may watch again what it may not now; CLOCK_NEVER: nothing is missing. */
int64_t instance_watch_due(const struct instance *instance);

/* Starts a worker; when that fails the next try is put off. */
void instance_start(struct instance *instance, int64_t now);

/* The worker, which has ended, is forgotten. */
void instance_forget_worker(struct instance *instance);

/* Handlers' standard error goes nowhere any more. */
void instance_close_stderr(struct instance *instance);

/* Orders to the worker: a WORKER_* of worker.h, of which some are to be answered. */
void instance_drain(struct instance *instance, int64_t now);
void instance_retry(struct instance *instance, int64_t now);
void instance_finish(struct instance *instance, char order, int64_t now);

/* SIGTERM, then SIGKILL after kill-grace, to all handlers; or SIGKILL. */
void instance_terminate(struct instance *instance, int64_t now);
void instance_kill(struct instance *instance, int64_t now);

/* The time that a worker has for an order, in nanoseconds. */
int64_t instance_time_to_answer(char order);

/* SIGTERM, then SIGKILL, to the handler of a connection; false: the worker takes no order
 * now. */
bool instance_end(struct instance *instance, uint64_t id);

#endif
