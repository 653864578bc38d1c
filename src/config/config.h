/*
 * config.h: the config, read and checked: an immutable struct config.
 *
 * Everything is resolved: names are numbers, durations nanoseconds, defaults filled in. A
 * config that was loaded needs no name service and no file any more, and is in one arena:
 * there is nothing to be freed but that.
 */
#ifndef UDSD_CONFIG_H
#define UDSD_CONFIG_H

#include "config/access.h"
#include "config/account.h"
#include "config/arena.h"
#include "config/diagnostics.h"
#include "common/privilege.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum stderr_kind {
	STDERR_SYSLOG,
	STDERR_NULL,
	STDERR_CLIENT,
	STDERR_FILE,
};

struct stderr_target {
	enum stderr_kind kind;
	char *path; /* STDERR_FILE */
};

struct rate {
	uint32_t burst; /* 0: no limit */
	int64_t period; /* nanoseconds */
};

struct limit_setting {
	const char *name; /* of the option; NULL: not set */
	rlim_t value;     /* soft and hard */
};

/* An option that was given, by the service itself or in defaults. */
struct given {
	const char *option;
	struct place at;
	const char *value; /* as it was written, in one text */
};

/* One row of options.c sets each of these fields; lists end with NULL. */
struct service {
	char *name;
	struct place at;
	size_t ngiven;
	struct given *given;    /* see service_place() */
	struct problem problem; /* why it cannot run here and now */
	bool enabled;
	bool wait; /* the handler accepts */
	/* the socket */
	char *socket;       /* absolute path, or @name */
	int type;           /* SOCK_STREAM, SOCK_SEQPACKET */
	uid_t socket_owner; /* (uid_t)-1: leave */
	gid_t socket_group; /* (gid_t)-1: leave */
	mode_t socket_mode;
	mode_t directory_mode;
	int backlog;
	bool pass_fds;
	/* who may connect */
	struct access access;
	int max_connections;
	int per_user; /* 0: no limit */
	struct rate rate;
	bool overflow_reject;
	char *reject_message; /* NULL: none */
	/* the handler */
	char **handler;                /* argv */
	const struct account *account; /* of the user that it runs as */
	struct identity identity;      /* groups: only if udsd is root */
	char *directory;
	mode_t umask;
	int nice;
	char **environment; /* NAME=value; pass-environment included */
	bool no_new_privileges;
	struct limit_setting limits[RLIM_NLIMITS]; /* by RLIMIT_* */
	struct stderr_target stderr_target;
	/* time, in nanoseconds; 0: none */
	int64_t max_lifetime;
	int64_t kill_grace;
	int64_t idle_timeout;
	int64_t worker_idle;
	int log_level; /* LOG_ERR .. LOG_DEBUG */
};

/* Whether it may be given to a worker. What is at its socket's path only opening it can
 * tell. */
static inline bool service_can_run(const struct service *service)
{
	return service->problem.kind == PROBLEM_NONE ||
	       service->problem.kind == PROBLEM_DISPLACED;
}

#define CONTROL_NAME "(control)" /* which no service can have */

/* The text of a file, as it was when the config was loaded. */
struct config_text {
	struct config_text *next;
	const char *path;
	const char *text;
	size_t len;
};

struct config {
	int log_level;
	int syslog_facility;
	char *pid_file; /* "": none */
	int64_t stop_timeout;
	char **include; /* patterns */
	/* the control socket: no handler, no account; socket NULL: none */
	struct service control;
	size_t count;
	struct service *services;
	struct account *accounts;  /* all that were looked up */
	struct config_text *texts; /* the main file, then those it includes */
};

/* Where a config comes from, and what the command line says instead. */
struct load_source {
	const char *path;     /* absolute */
	const char *pid_file; /* NULL: the config's */
	int log_level;        /* -1: the config's */
	char **options;       /* NAME=VALUE, for `command` */
	size_t count;
	char **command; /* SOCKET HANDLER [ARG...]; NULL: the file at `path` */
	bool test;      /* it is only to be said whether it would run */
	const struct config *again; /* its texts are loaded, not the files; NULL: none */
};

/* Reads the config file, all that it includes, or the command, and checks it all. The
 * result is in the arena as a whole. NULL if there is any error; services that have a
 * problem are there, and are not complete. Both are in *faults, which the caller frees in
 * any case. */
const struct config *config_load(struct arena *arena, const struct load_source *source,
				 struct faults *faults);

/* The same for a text, which is changed. Its faults bear no file. */
const struct config *config_parse(struct arena *arena, char *text, struct faults *faults);

/* All that has a socket: the services, then the control socket. */
size_t config_sockets(const struct config *config);
const struct service *config_socket(const struct config *config, size_t index);

#endif
