/* setup.h: what a worker and a handler that accepts share before they are one. */
#ifndef UDSD_SETUP_H
#define UDSD_SETUP_H

#include "config.h"

#include <sys/resource.h>

/* Makes this process the service's: its title, a session of its own, this limit of descriptors, nice,
 * the service's identity for good, no-new-privileges, directory, umask. 0, or -1, errno and *step. */
int setup_process(const struct service *service, const struct rlimit *nofile,
		  const char **step);

#endif
