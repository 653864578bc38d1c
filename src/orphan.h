/*
 * orphan.h: handlers whose worker has died.
 *
 * The supervisor is their subreaper: it waits for them, sends their `close` line, frees their slots
 * and keeps their max-lifetime. A pid from a scoreboard is untrusted: it is believed only if it is
 * our child, and signals to it are sent by a process that has become the service's user.
 */
#ifndef UDSD_ORPHAN_H
#define UDSD_ORPHAN_H

#include "unit.h"

/* A worker of the unit has died: takes over its live handlers and frees its reserved slots.
 * `is_ours` tells pids that are never handlers: workers and the log process. */
void orphan_adopt(struct unit *unit, pid_t worker, bool (*is_ours)(pid_t pid));

/* A child has ended and has not been waited for: true if it was an orphan; now it has been. */
bool orphan_bury(pid_t pid);

/* Sends SIGTERM (then SIGKILL after kill-grace) or SIGKILL to all orphans' groups. */
void orphan_end_all(int signal, int64_t now);

size_t orphan_count(void);

/* Stops caring for them: what cannot be ended is left to init. */
void orphan_forget_all(void);

/* When orphan_tick() has to end one; CLOCK_NEVER: none. */
int64_t orphan_due(void);
void orphan_tick(int64_t now);

#endif
