/* setup.h: what makes a child of the supervisor a process of one service: a worker, or in
 * wait mode the handler. */
#ifndef UDSD_SETUP_H
#define UDSD_SETUP_H

#include "common/failure.h"
#include "config/config.h"

#include <sys/resource.h>

#define SETUP_FIRST 3 /* the first descriptor that is placed */

/* Places from[i] as descriptor i, close-on-exec, for all i from SETUP_FIRST to end - 1
 * (-1: none is placed there), `error` as standard error, and closes all others. from[] is
 * changed. 0, or -1 and errno. */
int setup_descriptors(int *from, int end, int error);

/* Sets the title, a session, the limit of descriptors, nice, then changes permanently to
 * the service's identity, and sets no-new-privileges, directory and umask. */
struct failure setup_process(const struct service *service, const struct rlimit *nofile);

#endif
