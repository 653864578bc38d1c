/*
 * control.h: the control socket, where udsctl asks: one request line, one answer.
 *
 * Its listener is that of an instance without a handler, so it is made, kept, watched,
 * reloaded and passed on as all others are. A request is small and has 5 seconds to come,
 * a long answer is written by a process of its own, which has 10 seconds (client.h): the
 * supervisor waits for no client.
 */
#ifndef UDSD_CONTROL_H
#define UDSD_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Clients of the control socket are taken from now on. */
void control_open(void);

/* Whether this child writes an answer; that it has exited (false: it was another). */
bool control_is_writer(pid_t pid);
bool control_writer_exited(pid_t pid, int status, int64_t now);

/* Closes clients that use more than their time, and answers those that wait for a
 * reload. */
int64_t control_due(void);
void control_tick(int64_t now);

#endif
