/*
 * supervisor_state.h: what the rooms of the supervisor share: supervisor.c (the loop), start.c,
 * children.c (their ends), stop.c, reload.c and change.c, upgrade.c, path.c, control.c, status.c.
 *
 * One task at a time: a reload is over before the next one, or an upgrade, begins; a stop ends any.
 */
#ifndef UDSD_SUPERVISOR_STATE_H
#define UDSD_SUPERVISOR_STATE_H

#include "loader.h"
#include "supervisor.h"
#include "unit.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum task {
	TASK_NONE,
	TASK_LOAD,  /* a child reads the config */
	TASK_DRAIN, /* replaced workers have not yet said that they accept no more */
	TASK_PROBE, /* the new binary checks the config */
};

/* What a reload has changed, for its line in the log. */
struct tally {
	size_t added, changed, removed;
};

struct supervisor {
	const struct supervisor_options *options;
	struct shared shared;
	struct loaded *loaded; /* the config that is served */
	struct unit *units;    /* of all services, then former ones among them */
	int signals;           /* a signalfd */
	int pidfile;           /* -1: none */
	pid_t pid;             /* our own */
	int64_t started;
	_Atomic uint64_t log_dropped; /* lines of our own that the log did not take */
	pid_t logger;                 /* 0: none */
	int64_t logger_due;           /* when the next one may be started */
	bool unreaped;                /* children may have ended */
	/* reload and upgrade */
	enum task task;
	int64_t task_until; /* when it is given up */
	bool want_reload, want_upgrade;
	struct loader loader;
	struct tally tally;
	unsigned reloads; /* that have begun */
	FILE *report;     /* what the one at hand says to whoever asked for it, into: */
	char *report_text;
	size_t report_size;
	pid_t probe;      /* 0: none */
	int probe_output; /* a memfd */
	/* paths */
	int inotify; /* -1: none, so paths are looked at each second */
	struct watch on_paths;
	int64_t paths_due;    /* when to look at all of them */
	int64_t paths_looked; /* when that was done last */
	/* stop */
	bool stopping;
	bool given_up;        /* on handlers that cannot be ended */
	int64_t give_up_at;   /* when to do that */
	int64_t terminate_at; /* when handlers get SIGTERM */
	int end_signal;       /* what they got last; 0: nothing yet */
};

static inline const struct config *supervisor_config(const struct supervisor *sup)
{
	return sup->loaded->config;
}

/* Puts a unit behind all others. */
void supervisor_add(struct supervisor *sup, struct unit *unit);

/* Logs `listen service= socket=` of a unit that has just got its socket. */
void supervisor_log_listen(const struct unit *unit);

/* The number of sockets that accept connections. */
size_t supervisor_listening(const struct supervisor *sup);

#endif
