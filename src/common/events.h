/*
 * events.h: what the supervisor waits for: one epoll instance, and a callback for each
 * descriptor.
 *
 * A descriptor must be taken off before it is closed: epoll keeps an entry as long as a
 * child that was forked meanwhile has the file open.
 */
#ifndef UDSD_EVENTS_H
#define UDSD_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
	/* The descriptor is readable, or was before another callback of the same turn: a
	 * reason to look. */
	void (*ready)(struct watch *watch, int64_t now);
	bool on;
};

/* 0, or -1 and errno. */
int events_open(void);
void events_close(void);

/* Watches the descriptor or not; without effect where it is so already, and for -1. 0, or
 * -1 and errno: it is not watched. */
int watch_set(struct watch *watch, int fd, bool on);

/* From now on only a hang-up is reported. */
void watch_hangup(struct watch *watch, int fd);

/* Waits up to `timeout` milliseconds (-1: without end) and calls what is ready. */
void events_wait(int timeout);

#endif
