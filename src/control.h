/*
 * control.h: the control socket, where udsctl asks: one request line, one answer.
 *
 * Its listener is that of a unit without a handler, so it is made, kept, watched, reloaded and handed
 * over as all others are. Requests are small and have 5 seconds to come. Short answers go out at
 * once; long ones are written by a process of their own, which sees all as it is now and has 10
 * seconds, so the supervisor waits for nobody.
 */
#ifndef UDSD_CONTROL_H
#define UDSD_CONTROL_H

#include "supervisor_state.h"

/* Somebody may wait at the control socket. */
void control_accept(struct supervisor *sup, struct unit *unit, int64_t now);

/* A client has sent something, or has gone. */
void control_event(struct supervisor *sup, const struct watch *watch, int64_t now);

/* The reload number sup->reloads has ended: tells those who wait for it the verdict, which an answer
 * begins with, and what it had to say. */
void control_reloaded(struct supervisor *sup, const char *verdict, const char *text);

/* Whether a child writes an answer; and that it has ended (false: it is another). */
bool control_is_writer(pid_t pid);
bool control_writer_ended(pid_t pid);

int64_t control_due(void);
void control_tick(int64_t now);

#endif
