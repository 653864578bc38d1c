/* options.h: the table of a service's options. */
#ifndef UDSD_OPTIONS_H
#define UDSD_OPTIONS_H

#include "config/kind.h"

extern const struct option_row service_options[]; /* fields of a struct service */

#endif
