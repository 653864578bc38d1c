/*
 * environment.h: the environment of handlers, made once for a service and patched for a
 * connection.
 */
#ifndef UDSD_ENVIRONMENT_H
#define UDSD_ENVIRONMENT_H

#include "common/peer.h"
#include "config/config.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct environment;

/* What is new with each connection. */
struct environment_call {
	const struct peer *peer;
	const struct sockaddr_un *from; /* where the peer is bound */
	socklen_t from_len;
	uint64_t id;      /* of the connection */
	const char *rule; /* that allowed it */
};

/* Prepares one for the handlers of a service. Called in its worker, whose pid it
 * contains. NULL: out of memory. */
struct environment *environment_new(const struct service *service);
void environment_free(struct environment *environment);

/* That of a connection, valid until the next call. */
char *const *environment_of(struct environment *environment,
			    const struct environment_call *call);

/* That of a service with wait = true, for the calling process, which is about to execute;
 * NULL: out of memory. */
char *const *environment_for_wait(const struct service *service);

#endif
