/* client.h: a client from accept to its handler. See worker_state.h. */
#ifndef UDSD_CLIENT_H
#define UDSD_CLIENT_H

#include "worker_state.h"

/* Whether to look at the listener: while we accept, nothing is held or has to be waited for, and
 * there is room, or nobody has to wait for room. */
bool client_wanted(struct worker *worker);

/* Accepts one client, no more: it is all that is lost if we are killed. It is served, turned away,
 * or held. */
void client_accept(struct worker *worker);

/* Tries again to serve the one who is held, if it is time. */
void client_retry(struct worker *worker);

/* Ends the connection of the next who waits; false: nobody does. */
bool client_refuse_next(struct worker *worker);

/* Ends the connections of all who wait, with a clean end of file. */
void client_refuse_queued(struct worker *worker);

#endif
