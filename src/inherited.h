/* inherited.h: signals and limits as a parent may have left them, and as handlers are to get them. */
#ifndef UDSD_INHERITED_H
#define UDSD_INHERITED_H

#include <sys/resource.h>

/* Blocks every signal and ignores none: children inherit that. A signalfd for those that steer the
 * supervisor, or -1 and errno. */
int inherited_signals(void);

/* Raises the soft limit of descriptors as far as may be: a thousand services want more than the
 * usual one. *before is the limit that handlers are to have. 0, or -1 and errno: that is not known. */
int inherited_limit(struct rlimit *before);

#endif
