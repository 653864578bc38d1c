/*
 * preflight.h: what a config's services need of the system they are to run on.
 */
#ifndef UDSD_PREFLIGHT_H
#define UDSD_PREFLIGHT_H

#include "config/config.h"

/* Checks the services of a config, as far as their values are right: handlers that others could replace (when
 * udsd is root), and, tried by a child that has become the service's user, whether the handler can
 * be executed and the directory entered. Adds to `faults`. */
void preflight_check(const struct config *config, struct faults *faults);

#endif
