/*
 * events.c: epoll(7), level-triggered.
 */
#include "common/events.h"

#include "common/clock.h"

#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 64 /* taken in one turn */

static int events_fd = -1;

int events_open(void)
{
	events_fd = epoll_create1(EPOLL_CLOEXEC);
	return events_fd < 0 ? -1 : 0;
}

void events_close(void)
{
	close(events_fd);
	events_fd = -1;
}

int watch_set(struct watch *w, int fd, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};

	if (w->on == on || fd < 0)
		return 0;
	if (epoll_ctl(events_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event) < 0)
		return -1;
	w->on = on;
	return 0;
}

void watch_hangup(struct watch *w, int fd)
{
	struct epoll_event event = {.data.ptr = w};

	(void)epoll_ctl(events_fd, EPOLL_CTL_MOD, fd, &event);
}

void events_wait(int timeout)
{
	struct epoll_event event[EVENTS];
	int n = epoll_wait(events_fd, event, EVENTS, timeout);
	int64_t now = clock_now();

	for (int i = 0; i < n; i++) {
		struct watch *w = event[i].data.ptr;

		w->ready(w, now);
	}
}
