/* adopt.h: what an earlier supervisor has left: sockets that nobody wants, and after an upgrade
 * scoreboards, workers and handlers. */
#ifndef UDSD_ADOPT_H
#define UDSD_ADOPT_H

#include "supervisor_state.h"

/* Takes them over; the old workers drain. The units have their sockets already. */
void adopt_all(struct supervisor *sup, int64_t now);

#endif
