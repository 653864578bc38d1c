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

/* Whether a worker of the one does just what a worker of the other would. What is the supervisor's
 * own affair (service_same_socket()) does not count, nor where they stand in the config. */
bool service_same(const struct service *a, const struct service *b);

/* Whether owner, mode, backlog and the like of their sockets are the same. */
bool service_same_socket(const struct service *a, const struct service *b);

/* Frees all that the service owns. */
void service_free(struct service *service);

#endif
