/* children.h: waits for the supervisor's children: workers, handlers that accept, orphans, helpers. */
#ifndef UDSD_CHILDREN_H
#define UDSD_CHILDREN_H

#include "supervisor_state.h"

/* Whether the pid is one of ours that is no handler of a worker's; an orphan_is_ours(). */
bool children_is_ours(const void *supervisor, pid_t pid);

/* Waits for a few that have ended; what else is to be done must not starve for them. True if there
 * may be more. */
bool children_reap(struct supervisor *sup, int64_t now);

/* Takes over dead workers' handlers for whom there was no memory. */
void children_adopt(struct supervisor *sup, int64_t now);

#endif
