/*
 * worker.h: one service's worker: accepts, checks, starts handlers, reaps them, ends
 * those past max-lifetime, relays their standard error.
 *
 * The supervisor gives orders over a SOCK_SEQPACKET channel; nothing else is obeyed. End
 * of file on it means that the supervisor has exited: almost the same as WORKER_FINISH.
 */
#ifndef UDSD_WORKER_H
#define UDSD_WORKER_H

#include "common/clock.h"
#include "common/scoreboard.h"
#include "config/config.h"

#include <sys/resource.h>

/* Values that no version changes: at an upgrade a new supervisor gives orders to old
 * workers. */
enum worker_order {
	/* stop accepting; answered by WORKER_DRAINED */
	WORKER_DRAIN = 'd',
	/* the same, but the backlog is served first, for a second at most */
	WORKER_FINISH = 'f',
	/* the same, but pending clients get an end of file first */
	WORKER_REFUSE = 'r',
	/* SIGTERM to all handlers' groups, SIGKILL after kill-grace */
	WORKER_TERMINATE = 't',
	/* SIGKILL to them */
	WORKER_KILL = 'k',
	/* SIGTERM to one, SIGKILL after kill-grace */
	WORKER_END = 'e',
	/* no back-off any more: try again what failed */
	WORKER_RETRY = 'n',
	/* the answer: it accepts no more */
	WORKER_DRAINED = 'D',
	/* another process has shut the listening socket down */
	WORKER_SHUT = 'S',
};

/* For the backlog, at WORKER_FINISH. */
#define WORKER_FINISH_TIME NSEC_PER_SEC

/* What goes down the channel: most orders are its first byte only, as all answers are. */
struct worker_message {
	char order;
	uint64_t id; /* the connection's, of WORKER_END; else 0 */
};

/* Exit status of a worker that could not begin or go on; for lack of resources it is the
 * errno, which is larger. */
#define WORKER_FAILED 1

/* What a worker starts with; the descriptors are the supervisor's. */
struct worker_start {
	const struct service *service;
	struct scoreboard *board;
	struct rlimit nofile; /* the limit that handlers are to have */
	int listener;         /* -1: only reads what handlers write to standard error */
	int channel;          /* the worker's end */
	int log;              /* where its records go */
	int stderr_in; /* handlers' standard error, if it goes to the log; else -1 */
	int stderr_out;
	/* obeyed before anything else; 0: none */
	struct worker_message order;
};

/* The rest of a process that the supervisor forked, with all signals blocked. */
_Noreturn void worker_run(const struct worker_start *start);

#endif
