/* report.h: what -t and a start print about a config. */
#ifndef UDSD_REPORT_H
#define UDSD_REPORT_H

#include "config/config.h"
#include "config/loader.h"

#include <stdbool.h>

/* All that is wrong, then a verdict if it is refused, on standard error. NULL: nothing
 * is. */
void report_findings(const struct findings *found, bool refused);

/* What a service's options came to, on standard output. */
void report_service(const struct service *service);

/* Of a config that is accepted. */
void report_verdict(size_t services, size_t warnings);

#endif
