/* copy.h: a config in an arena. */
#ifndef UDSD_COPY_H
#define UDSD_COPY_H

#include "arena.h"
#include "config.h"

/* A copy of all of a config, which needs nothing of the original any more. */
const struct config *config_copy(const struct config *config, struct arena *arena);

#endif
