/*
 * overload.h: when to try again what failed, and how often to say so.
 *
 * Want of resources heals itself: another try every 100 ms, one log line for each cause in 10 s.
 * Faults that waiting cannot mend back off from 100 ms, doubling to 30 s, until one try succeeds.
 */
#ifndef UDSD_OVERLOAD_H
#define UDSD_OVERLOAD_H

#include <stdint.h>

#define OVERLOAD_CAUSES 8

struct overload {
	const char *service;
	int64_t until; /* no try before */
	int64_t delay; /* the last back-off; 0: none */
	struct {
		const char *step;
		int error;
		int64_t quiet_until; /* no line about it before */
	} causes[OVERLOAD_CAUSES];
};

void overload_init(struct overload *overload, const char *service);

/* Want of resources in `step`, a constant. */
void overload_busy(struct overload *overload, const char *step, int error, int64_t now);

/* A fault for good: o->until and o->delay tell how long to wait. */
void overload_back_off(struct overload *overload, int64_t now);

/* The same, and logs a `fail` line about `path`, the handler, or the socket if conn is 0. What fails
 * before o->until was begun together with what failed first, and waits no longer for it. */
void overload_failed(struct overload *overload, const char *path, uint64_t conn,
		     const char *step, int error, int64_t now);

/* A try succeeded. */
void overload_over(struct overload *overload);

/* The time before which nothing is to be tried; in the past: go on. */
int64_t overload_until(const struct overload *overload);

#endif
