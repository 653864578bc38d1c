/* adopt.h: what an earlier supervisor has left: sockets that no service wants, and after
 * an upgrade scoreboards, workers and handlers. */
#ifndef UDSD_ADOPT_H
#define UDSD_ADOPT_H

#include <stdint.h>

/* Takes them over; the old workers drain. The services' instances have their sockets
 * already. */
void adopt_all(int64_t now);

#endif
