/*
 * orphans.h: keeps and ends handlers after their worker has exited.
 *
 * The supervisor is their subreaper: it reaps them, sends their `close` line, frees their
 * slots and keeps their max-lifetime; one whose start takes too long is killed. A pid
 * from a scoreboard is untrusted: it is believed only if it is our child, and signals to
 * it are sent by a process that has become the service's user.
 */
#ifndef UDSD_ORPHANS_H
#define UDSD_ORPHANS_H

#include "service/instance.h"

/* Says which pids are the supervisor's own children: never handlers, or workers that
 * run. */
typedef bool orphans_is_ours(pid_t pid);

/* A worker of the instance has exited: takes over its live handlers and frees its
 * reserved slots. worker 0: those of all workers that are not ours any more. Where there
 * is no memory for one, instance->adopt_due says when to call it again, with 0. What
 * orphans_end_all() sent reaches these too. */
void orphans_adopt(struct instance *instance, pid_t worker, orphans_is_ours *is_ours);

/* A child has exited and has not been reaped: true if it was an orphan; now it has
 * been. */
bool orphans_reap(pid_t pid);

/* Sends SIGTERM (then SIGKILL after kill-grace) or SIGKILL to all orphans' groups, now
 * and to come. */
void orphans_end_all(int signal, int64_t now);

/* Sends SIGTERM, and SIGKILL after kill-grace, to the one in this slot. False: there is
 * none. */
bool orphans_end(const struct slot *slot, pid_t pid, int64_t now);

size_t orphans_count(void);

/* Stops caring for them, and forgets what was sent: what cannot be ended is left to
 * init. */
void orphans_forget(void);

/* When orphans_tick() has to end one; CLOCK_NEVER: none. */
int64_t orphans_due(void);
void orphans_tick(int64_t now);

#endif
