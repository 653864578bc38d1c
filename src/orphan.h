/*
 * orphan.h: handlers whose worker has died.
 *
 * The supervisor is their subreaper: it waits for them, sends their `close` line, frees their slots
 * and keeps their max-lifetime; one whose start takes too long is killed. A pid from a scoreboard is
 * untrusted: it is believed only if it is our child, and signals to it are sent by a process that has
 * become the service's user.
 */
#ifndef UDSD_ORPHAN_H
#define UDSD_ORPHAN_H

#include "unit.h"

/* Tells pids that are never handlers, or workers that live: those of the supervisor. */
typedef bool orphan_is_ours(const void *arg, pid_t pid);

/* A worker of the unit has died: takes over its live handlers and frees its reserved slots. worker 0:
 * those of all workers that are not ours any more. Where there is no memory for one, unit->adopt_due
 * says when to call it again, with 0. */
void orphan_adopt(struct unit *unit, pid_t worker, orphan_is_ours *is_ours,
		  const void *arg);

/* A child has ended and has not been waited for: true if it was an orphan; now it has been. */
bool orphan_bury(pid_t pid);

/* Sends SIGTERM (then SIGKILL after kill-grace) or SIGKILL to all orphans' groups. */
void orphan_end_all(int signal, int64_t now);

/* Sends SIGTERM, and SIGKILL after kill-grace, to the one in this slot. False: there is none. */
bool orphan_end(const struct slot *slot, pid_t pid, int64_t now);

size_t orphan_count(void);

/* Stops caring for them: what cannot be ended is left to init. */
void orphan_forget_all(void);

/* When orphan_tick() has to end one; CLOCK_NEVER: none. */
int64_t orphan_due(void);
void orphan_tick(int64_t now);

#endif
