/*
 * place.h: makes room for a path: its directories, and what stale thing stands there.
 */
#ifndef UDSD_PLACE_H
#define UDSD_PLACE_H

#include <stdint.h>
#include <sys/types.h>

/* Makes the missing directories above `path`. 0, or -1 and errno. */
int place_make_parents(const char *path, mode_t mode);

/* The directory of a path, open; *name is what follows it. -1 and errno. */
int place_open_parent(const char *path, const char **name);

/* Keeps other supervisors from looking at the directory meanwhile; closing it ends that. */
void place_lock(int dir);

/* Makes room for a socket: nothing there, or a stale socket, which is removed. One that workers of a
 * supervisor that has died still hold is stale in a moment: a path that is served is asked again
 * until the time `until`. 0, or -1, errno and *step. */
int place_clear(int dir, const char *name, int64_t until, const char **step);

#endif
