/* standing.h: what stands already at the paths that udsd is about to use. */
#ifndef UDSD_STANDING_H
#define UDSD_STANDING_H

#include "config/config.h"

/* For a start: finds what would keep the socket from being made. Not for a reload, where
 * sockets are our own. */
void standing_check(struct service *service, struct faults *faults);

#endif
