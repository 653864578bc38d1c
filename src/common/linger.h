/*
 * linger.h: close(2) of a client's socket, with a timer.
 *
 * Descriptors that a client sent and no process received are closed with its socket, by
 * the process that closes it last. This may take as long as the client wants (SO_LINGER).
 * SIGALRM interrupts it, every millisecond. Without linger_init() there is no timer.
 */
#ifndef UDSD_LINGER_H
#define UDSD_LINGER_H

#include <stdbool.h>
#include <sys/time.h>

/* Says whether clients can send descriptors; else linger_begin() and linger_end() do
 * nothing. SIGALRM and ITIMER_REAL are not used otherwise, and all signals blocked. */
void linger_init(bool needed);

void linger_begin(void);
void linger_end(void);

/* For a child that cannot call these: the values of ITIMER_REAL; SIGALRM is not to be
 * blocked between them. */
bool linger_is_needed(void);
extern const struct itimerval linger_on, linger_off;

#endif
