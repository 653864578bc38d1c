/*
 * status.h: records of services and connections, for udsctl and, on SIGUSR1, for the log.
 *
 * Records are written as log lines are, a word and key=value pairs. All of it is read
 * from the scoreboards without a lock; what workers wrote there is shown and not relied
 * on.
 */
#ifndef UDSD_STATUS_H
#define UDSD_STATUS_H

#include "service/services.h"

#include <stdio.h>

/* The current instance of a service; else a superseded one of which handlers live yet;
 * else NULL. */
struct instance *status_find(const char *name);

/* A live connection, as its slot says. */
struct live {
	const struct instance *instance; /* one that has the scoreboard; NULL: begin */
	struct slot *slot;
	pid_t pid;     /* of its handler */
	uint32_t next; /* slot to look at */
};

/* Goes on to the next live connection of a service; false: there is none. */
bool status_next_live(const char *name, struct live *at);

/* Writes records of one service, or (name NULL) of all. */
typedef void status_writer(FILE *out, const char *name, int64_t now);
status_writer status_write; /* `udsd`, `status`, `exits` */
status_writer status_list;  /* `connection` */

/* Logs a `status` line for each service. */
void status_log(int64_t now);

/* Remembers when udsd began, and counts lost lines of its log. */
void status_open(void);

#define STATUS_STOPPING 1024 /* bytes of what is said of a stop */

/* udsd is stopping: handlers have got one signal (NULL: none), and get another (NULL:
 * none) at this time. */
void status_stopping(const char *sent, const char *next, int64_t at);
bool status_is_stopping(void);

/* What there is to say of it: whom it waits for, and for how long. */
void status_put_stopping(char *text, size_t size, int64_t now);

#endif
