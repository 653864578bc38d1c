/*
 * supervisor.h: the process that keeps the sockets and starts workers. It never touches a
 * connection.
 */
#ifndef UDSD_SUPERVISOR_H
#define UDSD_SUPERVISOR_H

#include "service/services.h"

#include <stdbool.h>

struct supervisor_options {
	struct services_origin origin; /* for reloads and upgrades */
	bool to_syslog;                /* else the log goes to standard error */
	/* Gets a byte 0 once every socket accepts connections; -1: none. */
	int ready_fd;
};

/* Serves a config, which it takes over, until it is stopped. Standard descriptors are
 * open, signals as they came. Returns the exit status; what went wrong at the start is on
 * standard error. */
int supervisor_run(struct loaded *config, const struct supervisor_options *options);

#endif
