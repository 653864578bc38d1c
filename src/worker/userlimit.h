/*
 * userlimit.h: how many live connections one peer uid may have, and how many new ones in
 * a time.
 *
 * One table of users. The rate is a token bucket, kept as the time at which it is full
 * again. Memory is bounded by the capacity given at the start: a user whose bucket is
 * full and who has no live connection is forgotten, and if need be the one unseen for
 * longest that has none.
 */
#ifndef UDSD_USERLIMIT_H
#define UDSD_USERLIMIT_H

#include <stdint.h>
#include <sys/types.h>

struct userlimit;

struct userlimit_rule {
	uint32_t per_user; /* live connections of one uid; 0: no limit */
	uint32_t burst;    /* new connections in `period`; 0: no limit */
	int64_t period;    /* nanoseconds */
};

enum userlimit_verdict {
	USERLIMIT_OK,
	USERLIMIT_USER, /* has per_user live connections already */
	USERLIMIT_RATE, /* the bucket is empty */
};

/* For `live` connections at most. NULL: out of memory. userlimit_free() ends it. */
struct userlimit *userlimit_new(const struct userlimit_rule *rule, uint32_t live);
void userlimit_free(struct userlimit *limit);

/* Asks for one connection of `uid`; if USERLIMIT_OK it counts as live until
 * userlimit_give(). */
enum userlimit_verdict userlimit_take(struct userlimit *limit, uid_t uid, int64_t now);
void userlimit_give(struct userlimit *limit, uid_t uid);

/* Counts a connection that another process allowed. */
void userlimit_hold(struct userlimit *limit, uid_t uid);

/* The time at which every bucket is full again. */
int64_t userlimit_full_at(const struct userlimit *limit);

#endif
