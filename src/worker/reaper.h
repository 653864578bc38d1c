/* reaper.h: ends a worker's connections. See worker_state.h. */
#ifndef UDSD_REAPER_H
#define UDSD_REAPER_H

#include "worker/worker_state.h"

/* SIGCHLD has come: waits for children that have exited, for reaper_reap(). If `busy`,
 * there is more to do at once and the signal may be left pending: meanwhile the kernel
 * queues no other. */
void reaper_read(struct worker *worker, bool busy);

/* Waits for all children that have exited. */
void reaper_sweep(struct worker *worker);

/* Logs the end of those that have been waited for, and frees their slots. To be called
 * before anything else is done with connections: their pids may be other processes'
 * already. */
void reaper_reap(struct worker *worker);

/* Signals handlers when max-lifetime or kill-grace has passed. */
void reaper_expire(struct worker *worker);

/* Moves all connections of a state on: CONN_TERMINATED sends SIGTERM, CONN_KILLED
 * SIGKILL, to their process groups. */
void reaper_end_all(struct worker *worker, enum connection_state from,
		    enum connection_state to);

/* Sends SIGTERM to the connection with this id, and SIGKILL after kill-grace. */
void reaper_end(struct worker *worker, uint64_t id);

/* When reaper_sweep() or reaper_expire() is due. */
int64_t reaper_due(const struct worker *worker);

#endif
