/*
 * lifecycle.h: what follows from events at an instance, and how an instance ends.
 *
 * No pending connection is dropped: a path goes first, then its pending connections are
 * served or closed, then the socket is closed. The next worker starts only when the last
 * one accepts no more, so two sets of rules are never in force on one socket.
 */
#ifndef UDSD_LIFECYCLE_H
#define UDSD_LIFECYCLE_H

#include "service/instance.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* Takes a client of the control socket's, which has no worker (control.h). */
typedef void lifecycle_accept(struct instance *instance, int64_t now);
void lifecycle_on_control(lifecycle_accept *accept);

/* instance_new(), with what is to happen at its events. */
struct instance *lifecycle_new(struct loaded *loaded, const struct service *service);

/* The worker has ended, with this wait status: logs it unless it was as it should be. */
void lifecycle_worker_ended(struct instance *instance, int status,
			    const struct rusage *usage, int64_t now);

/* Then, when its handlers were adopted (orphans.h): starts another, if there is work for
 * it. */
void lifecycle_go_on(struct instance *instance, int64_t now);

/* udsd ends: removes the path, and closes pending connections. */
void lifecycle_stop(struct instance *instance, int64_t now);

/* The next generation gets the listener, and with it a handler that accepts. It starts a
 * worker when ours has stopped. */
void lifecycle_pass_listener(struct instance *instance, struct instance *successor);

/* Replaced or removed: the worker drains, and a listener that was not passed on is
 * retired after its pending connections were served. */
void lifecycle_supersede(struct instance *instance, int64_t now);

/* The next generation may start once the worker of this one accepts no more. */
void lifecycle_succeed(struct instance *instance, struct instance *successor);

/* When lifecycle_tick() has something to do; CLOCK_NEVER: nothing. */
int64_t lifecycle_due(const struct instance *instance);
void lifecycle_tick(struct instance *instance, int64_t now);

#endif
