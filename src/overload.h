/*
 * overload.h: when to try again what failed, and how often to say so.
 *
 * Want of resources heals itself: another try every 100 ms, one log line for each cause in 10 s.
 * Faults that waiting cannot mend back off from 100 ms, doubling to 30 s, until one try succeeds.
 */
#ifndef UDSD_OVERLOAD_H
#define UDSD_OVERLOAD_H

#include <stdint.h>

#define BACKOFF_CAUSES 8

struct backoff {
	const char *service;
	int64_t until; /* no try before */
	int64_t delay; /* the last back-off; 0: none */
	struct {
		const char *step;
		int error;
		int64_t quiet_until; /* no line about it before */
	} causes[BACKOFF_CAUSES];
};

void backoff_init(struct backoff *overload, const char *service);

/* Want of resources in `step`, a constant. */
void backoff_busy(struct backoff *overload, const char *step, int error, int64_t now);

/* A fault for good: o->until and o->delay tell how long to wait. */
void backoff_extend(struct backoff *overload, int64_t now);

/* The same, and logs a `fail` line about `path`, the handler, or the socket if conn is 0. What fails
 * before o->until was begun together with what failed first, and waits no longer for it. */
void backoff_failed(struct backoff *overload, const char *path, uint64_t conn,
		    const char *step, int error, int64_t now);

/* A try succeeded. */
void backoff_over(struct backoff *overload);

/* The time before which nothing is to be tried; in the past: go on. */
int64_t backoff_until(const struct backoff *overload);

#endif
