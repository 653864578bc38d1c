/* limits.h: whether the limits of a service's handlers can be set. */
#ifndef UDSD_LIMITS_H
#define UDSD_LIMITS_H

#include "config/config.h"

/* Lets the process, and what it starts, have the service's limits: raises hard limits
 * that are below them, which is for root. NULL, or the option whose value cannot be had,
 * and errno. */
const char *limits_raise(const struct service *service);

/* What a limit is too small for; NULL: it may do. */
const char *limits_warning(const struct service *service, int resource);

#endif
