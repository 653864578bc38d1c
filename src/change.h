/*
 * change.h: from the running config to another: match, bind, apply, and only then swap.
 */
#ifndef UDSD_CHANGE_H
#define UDSD_CHANGE_H

#include "supervisor_state.h"

#include <stddef.h>

/* Puts a config in force. Services that did not change keep socket and worker. 0; replaced workers
 * may be draining yet. Or -1: nothing has changed, and `error` says why. */
int change_config(struct supervisor *sup, struct loaded *loaded, char *error, size_t size,
		  int64_t now);

/* Puts the next generation of one unit in force, with a new socket or (enabled false) without; who is
 * queued at the old one is served. 0, or -1, errno and *step: nothing has changed. */
int change_unit(struct supervisor *sup, struct unit *unit, bool enabled,
		const char **step, int64_t now);

#endif
