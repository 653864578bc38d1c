/*
 * config.h: the config, read and checked: an immutable struct config.
 *
 * Everything is resolved here: names are numbers, durations nanoseconds, defaults filled in. A
 * config that was loaded needs no name service and no file any more.
 */
#ifndef UDSD_CONFIG_H
#define UDSD_CONFIG_H

#include "access.h"
#include "account.h"
#include "diagnostics.h"
#include "privilege.h"

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
	STDERR_DEFAULT, /* while a config is read */
};

struct limit_setting {
	int resource;     /* RLIMIT_* */
	const char *name; /* of the option; NULL: not set, nor are those behind it */
	rlim_t value;     /* soft and hard */
};

#define LIMIT_SETTINGS 6

/* Where something stands, for messages; file NULL: on the command line. */
struct place {
	const char *file; /* owned by the config */
	unsigned line;
};

struct service {
	char *name;
	struct place at, socket_at, handler_at, directory_at;
	bool enabled;
	bool wait; /* the handler accepts */
	const char *
		accepting; /* an option that was given and needs udsd to accept; NULL: none */
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
	int per_user;        /* 0: no limit */
	uint32_t rate_burst; /* 0: no limit */
	int64_t rate_period;
	bool overflow_reject;
	char *reject_message; /* NULL: none */
	/* the handler */
	char **handler;                /* argv, NULL at its end */
	const struct account *account; /* whom it runs as; owned by the config */
	struct identity identity;      /* groups: only if udsd is root */
	char *directory;
	mode_t umask;
	int nice;
	char **environment; /* NAME=value, NULL at the end; pass-environment included */
	bool no_new_privileges;
	struct limit_setting limits[LIMIT_SETTINGS];
	enum stderr_kind stderr_kind;
	char *stderr_path; /* STDERR_FILE */
	/* time, in nanoseconds; 0: none */
	int64_t max_lifetime;
	int64_t kill_grace;
	int64_t idle_timeout;
	int64_t worker_idle;
	int log_level; /* LOG_ERR .. LOG_DEBUG */
};

#define CONTROL_NAME "(control)" /* which no service can have */

struct config {
	int log_level;
	int syslog_facility;
	char *pid_file; /* "": none */
	int64_t stop_timeout;
	struct service
		control; /* the control socket: no handler, no account; socket NULL: none */
	size_t count;
	struct service *services;
	size_t naccounts;
	struct account **accounts;
	size_t nfiles;
	char **files; /* names of all that was read */
};

/* Reads the config file `path` (which must outlive the result), all that it includes, and checks it all. NULL if there is any
 * fault; they are in *faults, which the caller frees in any case. config_free() the result. */
struct config *config_load(const char *path, struct faults *faults);

/* The same for a text, which is taken over (command.h writes one). Its faults bear no file. */
struct config *config_parse(char *text, struct faults *faults);

/* All that has a socket: the services, then the control socket. */
size_t config_sockets(const struct config *config);
const struct service *config_socket(const struct config *config, size_t index);

void config_free(struct config *config);

#endif
