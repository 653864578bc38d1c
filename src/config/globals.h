/* globals.h: the table of the options outside of sections. */
#ifndef UDSD_GLOBALS_H
#define UDSD_GLOBALS_H

#include "config/kind.h"

extern const struct option_row global_options[]; /* fields of a struct config */

/* Sets them from what stands outside of sections, or on the command line. */
void globals_build(const struct build *build, const struct section *top,
		   const struct load_source *source);

#endif
