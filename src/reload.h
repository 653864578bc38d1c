/*
 * reload.h: SIGHUP. A child reads and checks the config; only what passes is put in force, all of it
 * or nothing (change.h). It is done when every replaced worker has said that it accepts no more.
 */
#ifndef UDSD_RELOAD_H
#define UDSD_RELOAD_H

#include "supervisor_state.h"

/* Asks for a reload or an upgrade; it begins when the task that is at hand, if any, is over. */
void reload_request(struct supervisor *sup, int64_t now);
void reload_request_upgrade(struct supervisor *sup, int64_t now);

/* The loader has ended with this status. */
void reload_loaded(struct supervisor *sup, int status, int64_t now);

/* The task at hand is over: begins the next one, if one was asked for. */
void reload_task_over(struct supervisor *sup, int64_t now);

/* Drops all that was asked for or has begun; what was put in force stays. */
void reload_abandon(struct supervisor *sup);

int64_t reload_due(const struct supervisor *sup);
void reload_tick(struct supervisor *sup, int64_t now);

#endif
