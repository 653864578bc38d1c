/*
 * handler.h: starts the handler of a connection.
 */
#ifndef UDSD_HANDLER_H
#define UDSD_HANDLER_H

#include "config.h"
#include "peer.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct handler;

/* What is new with each connection. */
struct handler_call {
	int fd; /* the connection; stays the caller's */
	const struct peer *peer;
	const struct sockaddr_un *from; /* where the peer is bound */
	socklen_t from_len;
	uint64_t conn;        /* its number */
	const char *rule;     /* that let it in */
	_Atomic int32_t *pid; /* gets the pid before the child's first instruction */
};

/* Prepares argv and environment once for a service. Called in its worker, whose pid they tell.
 * NULL if there is no memory. */
struct handler *handler_new(const struct service *service);
void handler_free(struct handler *handler);

/* The environment for a connection, valid until the next call. */
char *const *handler_environment(struct handler *handler,
				 const struct handler_call *call);

/* Starts the handler in its own process group with the connection as its standard input and
 * output. The caller has the service's identity and directory, all signals blocked and none
 * ignored, and as descriptor 2 what the handler's standard error is to be. 0, or -1, errno and
 * *step, what failed; then there is no process. */
int handler_spawn(struct handler *handler, const struct handler_call *call,
		  const char **step);

/* A start that hangs kills its caller, by a timer that goes on for a second after the last start. To be
 * called when it is due, which is what this returns: CLOCK_NEVER if there is no timer to end. */
int64_t handler_rest(struct handler *handler, int64_t now);

/* Becomes the handler of a service with wait = true: the listening socket is its standard input and
 * output and descriptor 3. The caller is the leader of a session, else as above. Returns only when
 * it fails: -1, errno and *step. */
int handler_become(const struct service *service, int listener, const char **step);

/* Whether an error of handler_spawn() is want of resources, to be tried again. */
bool handler_is_busy(int error);

#endif
