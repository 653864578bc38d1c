/* stop.h: the end: paths first, then time for handlers, then SIGTERM, then SIGKILL. */
#ifndef UDSD_STOP_H
#define UDSD_STOP_H

#include "supervisor_state.h"

/* A SIGTERM or SIGINT: the first begins the stop, the next one kills all handlers. */
void stop_signal(struct supervisor *sup, int signal, int64_t now);

/* Handlers have lost their worker: they get what others have got already. */
void stop_orphans(const struct supervisor *sup, int64_t now);

int64_t stop_due(const struct supervisor *sup);
void stop_tick(struct supervisor *sup, int64_t now);

/* Whether nothing is left to be done. */
bool stop_is_over(const struct supervisor *sup);

#endif
