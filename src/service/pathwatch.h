/*
 * pathwatch.h: notices socket paths that another process has deleted or replaced while
 * they are served, and makes them again.
 *
 * inotify watches each socket's own inode (its links and name change) and its directory's
 * (it is moved), so traffic in the directory causes no events. What another process has
 * put in the place is left alone and looked at each second.
 */
#ifndef UDSD_PATHWATCH_H
#define UDSD_PATHWATCH_H

#include "service/instance.h"

void pathwatch_open(void);
void pathwatch_close(void);

/* Watches an instance's path no more. */
void pathwatch_forget(struct instance *instance);

/* Looks at all paths when something has happened to one or sockets have changed, but not
 * more than ten times a second. Not while udsd stops. */
int64_t pathwatch_due(void);
void pathwatch_tick(int64_t now);

#endif
