/* service.h: completes and compares services. */
#ifndef UDSD_SERVICE_H
#define UDSD_SERVICE_H

#include "config/kind.h"

/* Where an option stands that the service or defaults has given, else where the service
 * does. */
struct place service_place(const struct service *service, const char *option);

/* Notes that it was given this option. The list of these is in `arena`. */
void service_note(const struct build *build, struct arena *arena, struct service *service,
		  const struct option_row *row, const struct statement *given);

/* Whether it was given. */
bool service_says(const struct service *service, const char *option);

/* Fills in what depends on several options, and checks them against each other. `root`:
 * udsd runs as root. */
void service_finish(const struct build *build, struct service *service, bool root);

/* Whether a worker of the one does just what a worker of the other would. What is the
 * supervisor's own affair (service_same_socket()) does not count, nor where they stand in
 * the config. */
bool service_same(const struct service *a, const struct service *b);

/* Whether the same was written of both, whatever users and groups are now. */
bool service_same_text(const struct service *a, const struct service *b);

/* Whether owner, mode, backlog and the like of their sockets are the same. */
bool service_same_socket(const struct service *a, const struct service *b);

#endif
