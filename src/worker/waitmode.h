/*
 * waitmode.h: inetd's wait mode: a handler that gets the listening socket and accepts
 * itself.
 */
#ifndef UDSD_WAITMODE_H
#define UDSD_WAITMODE_H

#include "common/clock.h"
#include "config/config.h"

#include <sys/resource.h>
#include <sys/types.h>

#define WAITMODE_BRIEF NSEC_PER_SEC /* a handler that fails so soon has not served */
#define WAITMODE_PACE (10 * NSEC_PER_MSEC) /* from one start to the next, at least */

/* Starts the handler, which gets SIGTERM when this process ends. A failure is logged over
 * `log` and is an exit status of 1; the client at the head of the backlog then sees end
 * of file, unless resources are lacking. The handler's pid, or -1 and errno. */
pid_t waitmode_start(const struct service *service, int listener, int log,
		     const struct rlimit *nofile);

#endif
