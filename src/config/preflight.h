/*
 * preflight.h: what a config's services need of the system they are to run on.
 */
#ifndef UDSD_PREFLIGHT_H
#define UDSD_PREFLIGHT_H

#include "config/config.h"

/* Checks the services of a config, as far as their values are right: sizes, modes and
 * limits; handlers that others could replace (when udsd is root); and, tried by a child
 * that has become the service's user, handler, directory and stderr. With `test` also
 * what stands at the sockets' paths. Adds to `faults`. */
void preflight_check(struct config *config, bool test, struct faults *faults);

#endif
