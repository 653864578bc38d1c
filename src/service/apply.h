/* apply.h: from the running config to another: match, bind, apply, and only then swap. */
#ifndef UDSD_APPLY_H
#define UDSD_APPLY_H

#include "service/instance.h"

#include <stdbool.h>
#include <stddef.h>

/* What a reload has changed. */
struct tally {
	size_t added, changed, removed;
};

/* Puts a config in force. Services that did not change keep socket and worker; those of
 * them that cannot run now have a problem (problem.h). 0; replaced workers may be
 * draining yet. Or -1: nothing has changed, and *errors, to be freed, says why (NULL: out
 * of memory; "": the config's findings do). `tolerant`: the config has not changed. Only
 * services that have a problem are tried, and whether one is enabled is left to the
 * administrator. */
int apply_config(struct loaded *loaded, bool tolerant, struct tally *tally, char **errors,
		 int64_t now);

#endif
