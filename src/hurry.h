/*
 * hurry.h: closing a client's socket without waiting.
 *
 * Descriptors that a client sent along and nobody took are closed with its socket, by whoever has that
 * last. This may take as long as the client wants (SO_LINGER). A signal cuts it short: SIGALRM, every
 * millisecond.
 */
#ifndef UDSD_HURRY_H
#define UDSD_HURRY_H

#include <stdbool.h>
#include <sys/time.h>

/* Says whether clients can send descriptors; else linger_begin() and linger_end() do nothing. SIGALRM and
 * ITIMER_REAL are not used otherwise, and all signals are blocked. */
void linger_init(bool needed);

void linger_begin(void);
void linger_end(void);

/* For who cannot call these: the values of ITIMER_REAL; SIGALRM is not to be blocked between them. */
bool linger_is_needed(void);
extern const struct itimerval linger_on, linger_off;

#endif
