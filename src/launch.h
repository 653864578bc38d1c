/* launch.h: a client that has a slot, until its handler runs. See worker_state.h. */
#ifndef UDSD_LAUNCH_H
#define UDSD_LAUNCH_H

#include "worker_state.h"

/* Makes what the hands need, once. 0, or -1: no memory. */
int launch_init(struct worker *worker);

/* An empty hand; there is one while accept_wanted(). */
struct hand *launch_hand(struct worker *worker);

/* Starts the handler for the client that was accepted last, who has a slot. Waits a moment for it if
 * there is nothing else to do. */
void launch_begin(struct worker *worker, struct hand *hand);

/* Keeps the client until its time comes: there is no process or memory, `error`, for this step. */
void launch_hold(struct worker *worker, struct hand *hand, const char *step, int error);

/* The client is held no more; if it has a slot, its handler is started by launch_again(). */
void launch_release(struct worker *worker, struct hand *hand);
void launch_again(struct worker *worker, struct hand *hand);

/* The client will not be served: its slot, if any, and its user's share are free again. Returns who
 * it is. */
struct peer launch_give_back(struct worker *worker, struct hand *hand);

/* The same, and it sees end of file. */
void launch_refuse(struct worker *worker, struct hand *hand);

/* Looks how those that were started fare. To be called before anything is said about a connection,
 * and when it is due. */
void launch_settle(struct worker *worker);
int64_t launch_due(const struct worker *worker);

/* The child of this connection has been waited for: whether it was a handler. If not the client has
 * been dealt with, and there is no such connection any more. */
bool launch_was_handler(struct worker *worker, uint32_t conn);

#endif
