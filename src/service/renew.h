/* renew.h: the next generation of one instance. */
#ifndef UDSD_RENEW_H
#define UDSD_RENEW_H

#include "common/failure.h"
#include "service/instance.h"

#include <stdbool.h>
#include <stdint.h>

/* Puts it in force, with a new socket or (enabled false) without; pending connections of
 * the old one are served. After a failure nothing has changed. */
struct failure renew_instance(struct instance *instance, bool enabled, int64_t now);

#endif
