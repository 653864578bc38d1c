/*
 * listen_fds.h: descriptors that come from outside as LISTEN_FDS, by one way: from
 * systemd's socket units, from its store of descriptors after a crash, and from ourselves
 * at an upgrade.
 *
 * LISTEN_FDNAMES distinguishes them. Our own names: `udsd-DEVICE-INODE-SINCE` is a
 * listening socket of ours with its path's identity and its time of birth (also its name
 * in systemd's store); `udsd/...` is what only an upgrade passes: the pid file,
 * scoreboards, and what belongs to old workers. All else is a socket unit's: its name is
 * that of a service, or its path is.
 */
#ifndef UDSD_LISTEN_FDS_H
#define UDSD_LISTEN_FDS_H

#include "config/config.h"
#include "service/listener.h"
#include "common/scoreboard.h"

#include <stddef.h>
#include <sys/types.h>

#define LISTEN_FDS_FIRST 3 /* sd_listen_fds(3) */
#define LISTEN_FDS_NAME LISTENER_NAME
#define LISTEN_FDS_LIST \
 "udsd/list/" /* in place of the names: the descriptor that holds them */

/* An old worker, or a handler that accepts, and what it takes to send it orders or to end
 * its handlers. */
struct passed_worker {
	/* 'w' a worker, 'h' a handler that accepts, 'f' a superseded one, 's'
	 * standard error's reading end, 'b' a scoreboard */
	char kind;
	unsigned instance; /* all with the same number belong together */
	pid_t pid;         /* 0: it has ended, its handlers are left */
	uid_t uid;
	gid_t gid;
	int64_t kill_grace, max_lifetime;
	char service[65];
	int fd; /* channel to the worker; a pidfd; standard error; a scoreboard */
};

/* Takes what the environment says is ours, and removes it from there. The first
 * descriptor behind. */
int listen_fds_open(void);

/* Whether it came from an upgrade. */
bool listen_fds_is_upgrade(void);

/* The socket for a service, if there is one: 0, or -1. */
int listen_fds_listener(const struct service *service, struct listener *listener);

/* The scoreboard of a service, or NULL. */
struct board *listen_fds_board(const char *service);

/* The locked pid file, or -1. */
int listen_fds_pidfile(void);

/* One after the other. False: there is no more. */
bool listen_fds_worker(struct passed_worker *worker);

/* One after the other, those sockets of ours that no service wants any more, with the
 * path (of 109 bytes) that is theirs. False: there is no more. */
bool listen_fds_unwanted(struct listener *listener, char *path);

/* Reports and closes all else that no service wanted. */
void listen_fds_close(void);

/* Names for what is passed; `name` has LISTEN_FDS_NAME bytes. */
void listen_fds_board_name(const char *service, char *name);
void listen_fds_pidfile_name(char *name);
void listen_fds_worker_name(const struct passed_worker *worker, char *name);

/* Reads such a name of an old worker. 0, or -1: it is another. */
int listen_fds_parse_worker(const char *name, struct passed_worker *worker);

#endif
