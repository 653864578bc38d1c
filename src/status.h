/*
 * status.h: what is told about services and connections: to udsctl, and to the log on SIGUSR1.
 *
 * Records are written as log lines are, a word and key=value pairs. All of it is read from the
 * scoreboards without a lock; what workers wrote there is only shown, never believed.
 */
#ifndef UDSD_STATUS_H
#define UDSD_STATUS_H

#include "supervisor_state.h"

#include <stdio.h>

/* The current unit of a service; else a former one of which handlers live yet; else NULL. */
struct unit *status_find(const struct supervisor *sup, const char *name);

/* The next unit of a service behind `unit` (NULL: the first) that has a scoreboard of its own. */
const struct unit *status_next_board(const struct supervisor *sup, const char *name,
				     const struct unit *unit);

/* Writes `udsd`, `service` and `exits` records of one service, or (name NULL) of all. */
void status_write(FILE *out, const struct supervisor *sup, const char *name, int64_t now);

/* Writes a `connection` record for each live connection. */
void status_list(FILE *out, const struct supervisor *sup, const char *name, int64_t now);

/* Logs a `counters` line for each service. */
void status_log(const struct supervisor *sup, int64_t now);

#endif
