/* globals.h: the options of a config that stand outside of sections. */
#ifndef UDSD_GLOBALS_H
#define UDSD_GLOBALS_H

#include "config.h"
#include "parse.h"

/* The values of an empty config. 0, or -1: no memory. */
int globals_init(struct config *config);

/* Takes what the text says. */
void globals_apply(struct config *config, const struct section *top,
		   struct faults *faults);

/* To be called when all is read: no control socket, if none is wanted. */
void globals_finish(struct config *config, struct faults *faults);

#endif
