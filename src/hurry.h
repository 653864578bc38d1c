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

/* Says whether clients can send descriptors; else hurry_begin() and hurry_end() do nothing. SIGALRM and
 * ITIMER_REAL are not used otherwise, and all signals are blocked. */
void hurry_init(bool needed);

void hurry_begin(void);
void hurry_end(void);

/* For who cannot call these: the values of ITIMER_REAL; SIGALRM is not to be blocked between them. */
bool hurry_is_needed(void);
extern const struct itimerval hurry_on, hurry_off;

#endif
