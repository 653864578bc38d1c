/* accept.h: a client from accept to its launch. See worker_state.h. */
#ifndef UDSD_ACCEPT_H
#define UDSD_ACCEPT_H

#include "worker/worker_state.h"

/* Whether to look at the listener. */
bool accept_wanted(struct worker *worker);

/* Accepts clients, each of which is served, rejected, or held, until none is pending or
 * they are LAUNCHES. */
void accept_pending(struct worker *worker);

/* Tries again to serve those that are held, if it is time. */
void accept_retry(struct worker *worker);

/* Ends the next pending connection; false: there is none. */
bool accept_refuse_next(struct worker *worker);

/* Ends all connections that are pending or held, with a clean end of file. */
void accept_refuse_pending(struct worker *worker);

/* Ends those of all clients that are held, now and later. */
void accept_refuse_held(struct worker *worker);

#endif
