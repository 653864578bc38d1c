/* service.h: completes and frees a struct service. */
#ifndef UDSD_SERVICE_H
#define UDSD_SERVICE_H

#include "config.h"

/* The account of a user, owned by the config; each is asked for once. NULL and errno, see
 * account_lookup(). */
const struct account *service_account(struct config *config, const char *user);

/* Fills in what depends on several options, and checks them against each other. `root`: udsd runs
 * as root. */
void service_finish(struct config *config, struct service *service, bool root,
		    struct faults *faults);

/* Frees all that the service owns. */
void service_free(struct service *service);

#endif
