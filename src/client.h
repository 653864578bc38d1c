/* client.h: a client from accept to its handler. See worker_state.h. */
#ifndef UDSD_CLIENT_H
#define UDSD_CLIENT_H

#include "worker_state.h"

/* Whether to look at the listener. */
bool accept_wanted(struct worker *worker);

/* Accepts clients, each of whom is served, turned away, or held, until none waits or they are HANDS. */
void accept_pending(struct worker *worker);

/* Tries again to serve those who are held, if it is time. */
void accept_retry(struct worker *worker);

/* Ends the connection of the next who waits; false: nobody does. */
bool accept_refuse_next(struct worker *worker);

/* Ends the connections of all who wait, with a clean end of file. */
void accept_refuse_pending(struct worker *worker);

/* Ends those of all who are held, now and later. */
void accept_refuse_held(struct worker *worker);

#endif
