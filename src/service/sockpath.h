/* sockpath.h: finds and removes a stale socket at a path. */
#ifndef UDSD_SOCKPATH_H
#define UDSD_SOCKPATH_H

#include "common/failure.h"

#include <stdint.h>

/* Keeps other supervisors from looking at the directory meanwhile; closing it ends
 * that. */
void sockpath_lock(int dir);

/* Makes room for a socket: nothing there, or a stale socket, which is removed. One that
 * workers of a killed supervisor still hold is stale in a moment: a path that is served
 * is asked again until the time `until`. */
struct failure sockpath_clear(int dir, const char *name, int64_t until);

#endif
