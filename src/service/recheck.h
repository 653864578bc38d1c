/*
 * recheck.h: tries failed services again, every 30 s while there are any, and when asked
 * to.
 *
 * A recheck is a load of the texts that are in force (not of files that an administrator
 * is editing) in a child, and a tolerant apply_config() of what came out: services that
 * run are not touched. It gives way to a reload and to an upgrade.
 */
#ifndef UDSD_RECHECK_H
#define UDSD_RECHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Asks for one now. Its number; it is over when recheck_ended() is that or more. */
unsigned recheck_request(void);
unsigned recheck_ended(void);

/* When the next one begins; in the past: one is under way. */
int64_t recheck_next(void);

/* Ends the one that is under way; `again`: what was asked for is begun anew later. */
void recheck_abandon(bool again);

/* Whether this child loads for a recheck; that it has exited (false: it was another). */
bool recheck_is(pid_t pid);
bool recheck_exited(pid_t pid, int status, int64_t now);

int64_t recheck_due(void);
void recheck_tick(int64_t now);

#endif
