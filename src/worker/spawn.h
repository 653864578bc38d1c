/*
 * spawn.h: starts the handler of a connection, in the background.
 */
#ifndef UDSD_SPAWN_H
#define UDSD_SPAWN_H

#include "common/failure.h"
#include "config/config.h"
#include "worker/environment.h"

#include <stdatomic.h>
#include <stdint.h>

/* What starts handlers of a service, one at a time; several can be used at once, if
 * spawn_is_concurrent(). */
struct spawn;

bool spawn_is_concurrent(void);

/* Called in the service's worker, whose pid handlers get. NULL: out of memory. */
struct spawn *spawn_new(const struct service *service);
void spawn_free(struct spawn *spawn);

/* The next start is for this connection. fd stays the caller's, open until
 * spawn_is_settled(). */
void spawn_prepare(struct spawn *spawn, int fd, const struct environment_call *call);

/* Starts the handler in its own process group with the connection as its standard input
 * and output. The caller has the service's identity and directory, all signals blocked
 * and none ignored, and as descriptor 2 what the handler's standard error is to be. *pid
 * gets the pid before the child's first instruction, and is the caller's to wait for. 0,
 * or -1 and errno: there is no process. Can be tried again without another
 * spawn_prepare(). */
int spawn_start(struct spawn *spawn, _Atomic int32_t *pid);

/* Whether the start has come to its end: the handler runs, or the child has failed and
 * exits. */
bool spawn_is_settled(const struct spawn *spawn);

/* The same, but waits for it up to nsec. */
bool spawn_await(struct spawn *spawn, int64_t nsec);

/* What failed in the child, once it is settled. */
struct failure spawn_failure(const struct spawn *spawn);

/* Kills the child of a start that takes too long; then its error is ETIME. */
void spawn_give_up(struct spawn *spawn, pid_t pid);

/* Executes the handler of a service with wait = true in this process: the listening
 * socket is its standard input and output and descriptor 3. The caller is the leader of a
 * session, else as above. Returns only if it fails. */
struct failure spawn_execute(const struct service *service, int listener);

/* Whether an error means that resources are lacking: to be tried again. */
bool spawn_is_busy(int error);

#endif
