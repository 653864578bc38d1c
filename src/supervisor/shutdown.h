/* shutdown.h: stops the supervisor: paths first, then time for handlers, then SIGTERM,
 * then SIGKILL. */
#ifndef UDSD_SHUTDOWN_H
#define UDSD_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

/* A SIGTERM or SIGINT: the first begins the stop, the next one kills all handlers. */
void shutdown_signal(int signal, int64_t now);

bool shutdown_has_begun(void);

/* Whether nothing is left to be done. */
bool shutdown_is_over(void);

int64_t shutdown_due(void);
void shutdown_tick(int64_t now);

#endif
