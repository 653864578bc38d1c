/*
 * backoff.h: when to try again what failed, and how often to log it.
 *
 * Lack of resources passes: another try every 100 ms, one log line for each cause in 10
 * s. Other faults last: the delay doubles from 100 ms to 30 s, until one try succeeds.
 */
#ifndef UDSD_BACKOFF_H
#define UDSD_BACKOFF_H

#include "common/failure.h"

#include <stdint.h>

#define BACKOFF_CAUSES 8

struct backoff {
	const char *service;
	int64_t until; /* no try before; in the past: go on */
	int64_t delay; /* the last one; 0: none */
	struct {
		struct failure failure;
		int64_t quiet_until; /* no line about it before */
	} causes[BACKOFF_CAUSES];
};

void backoff_init(struct backoff *backoff, const char *service);

/* Resources are lacking. */
void backoff_busy(struct backoff *backoff, struct failure failure, int64_t now);

/* A lasting fault: sets `until` and `delay`. */
void backoff_extend(struct backoff *backoff, int64_t now);

/* The same, and logs a `fail` line about `path`, the handler, or the socket if the
 * connection's id is 0. What fails before `until` was started together with what failed
 * first, and does not extend it. */
void backoff_failed(struct backoff *backoff, const char *path, uint64_t id,
		    struct failure failure, int64_t now);

/* A try succeeded. */
void backoff_over(struct backoff *backoff);

#endif
