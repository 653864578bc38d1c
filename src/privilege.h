/*
 * privilege.h: becoming a service's user, for good.
 */
#ifndef UDSD_PRIVILEGE_H
#define UDSD_PRIVILEGE_H

#include "config.h"

/* Makes this process the service's: groups, gid, uid, no capability that root lent, no way back
 * (which is tried), nice, umask, no-new-privileges and directory. An ordinary user's udsd keeps
 * its ids. 0, or -1, errno and *step, the name of what failed: then the process must not go on. */
int privilege_drop(const struct service *service, const char **step);

/* Sends a signal to a process group as the service's user, from a process that has become it: the
 * kernel decides whether it may. Waits for that process. */
void privilege_kill(const struct service *service, pid_t group, int signal);

#endif
