/* launch.h: a client that has a slot, until its handler runs. See worker_state.h. */
#ifndef UDSD_LAUNCH_H
#define UDSD_LAUNCH_H

#include "worker/worker_state.h"

/* Makes what launches need, once. 0, or -1: out of memory. */
int launch_init(struct worker *worker);

/* The first in a state, NULL: none. There is an unused one while accept_wanted(). */
struct launch *launch_find(struct worker *worker, enum launch_state state);

/* Starts the handler of a client that has a slot and for which spawn_prepare() has been
 * called. Waits a moment for it if there is nothing else to do. */
void launch_start(struct worker *worker, struct launch *launch);

/* Keeps the client until backoff.until: resources are lacking. */
void launch_hold(struct worker *worker, struct launch *launch, struct failure failure);

void launch_move(struct worker *worker, struct launch *launch, enum launch_state state);

/* The client will not be served: its slot, if any, and its user's share are free again.
 * Returns it as a peer. */
struct peer launch_cancel(struct worker *worker, struct launch *launch);

/* The same, and it sees end of file. */
void launch_close(struct worker *worker, struct launch *launch);

/* Looks which of those that were started have executed. To be called before anything is
 * logged about a connection, and when it is due. */
void launch_settle(struct worker *worker);
int64_t launch_due(const struct worker *worker);

/* The child of this slot has exited and been waited for: whether it was a handler. If
 * not, its client has been dealt with, and there is no such connection any more. */
bool launch_was_handler(struct worker *worker, uint32_t slot);

#endif
