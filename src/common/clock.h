/* clock.h: CLOCK_MONOTONIC in nanoseconds, the only time that udsd computes with. */
#ifndef UDSD_CLOCK_H
#define UDSD_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_SEC INT64_C(1000000000)
#define CLOCK_NEVER INT64_MAX

static inline int64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static inline int64_t clock_min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t clock_max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The poll(2) time-out in ms from `now` until `when`: -1 for never, rounded up. */
static inline int clock_timeout(int64_t now, int64_t when)
{
	int64_t ms;

	if (when == CLOCK_NEVER)
		return -1;
	if (when <= now)
		return 0;
	ms = (when - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

#endif
