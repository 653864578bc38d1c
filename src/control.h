/*
 * control.h: the control socket, where udsctl asks: one request line, one answer.
 *
 * Its listener is that of a unit without a handler, so it is made, kept, watched, reloaded and passed on
 * as all others are. A request is small and has 5 seconds to come, a long answer is written by a
 * process of its own, which has 10 seconds (control_client.h): the supervisor waits for no client.
 */
#ifndef UDSD_CONTROL_H
#define UDSD_CONTROL_H

#include "supervisor_state.h"

/* A connection may be pending at the control socket. */
void control_accept(struct supervisor *sup, struct unit *unit, int64_t now);

/* A client has sent something, or has disconnected. */
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
