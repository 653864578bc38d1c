/* children.h: reaps children: workers, handlers that accept, orphans, helpers. */
#ifndef UDSD_CHILDREN_H
#define UDSD_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether the pid is one of ours that is no handler of a worker's; an
 * orphans_is_ours(). */
bool children_is_ours(pid_t pid);

/* SIGCHLD has come. */
void children_changed(void);

/* Reaps a few that have exited (what else is to be done must not starve for them), and
 * takes over exited workers' handlers for which there was no memory. */
int64_t children_due(void);
void children_tick(int64_t now);

#endif
