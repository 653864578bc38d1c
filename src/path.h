/*
 * path.h: notices socket paths that somebody has deleted or replaced while they are served, and
 * makes them again.
 *
 * inotify watches each socket's own inode (its links and name change) and its directory's (it is
 * moved), so traffic in the directory wakes nobody. What somebody else has put in the place is
 * left alone and looked at each second.
 */
#ifndef UDSD_PATH_H
#define UDSD_PATH_H

#include "supervisor_state.h"

/* 0, or -1: there is no inotify, and paths are looked at each second. */
int path_open(struct supervisor *sup);

/* Something has happened to a path, or sockets have changed: looks at all of them, but not more than
 * ten times a second. */
void path_event(struct supervisor *sup, int64_t now);
void path_look_soon(struct supervisor *sup, int64_t now);

/* Watches a unit's path no more. */
void path_forget(struct supervisor *sup, struct unit *unit);

int64_t path_due(const struct supervisor *sup);
void path_tick(struct supervisor *sup, int64_t now);

#endif
