/*
 * pathwatch.c: looks at the paths when something has happened to one, and makes deleted
 * ones again.
 */
#include "service/pathwatch.h"

#include "service/renew.h"
#include "common/clock.h"
#include "common/log.h"
#include "service/problem.h"
#include "service/services.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define LOOK_PAUSE (100 * NSEC_PER_MSEC)
#define SOCKET_EVENTS (IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF)
#define DIRECTORY_EVENTS (IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR)

static int inotify = -1; /* -1: none, so paths are looked at each second */
static struct watch pathwatch;
static int64_t look_at = CLOCK_NEVER; /* when to look at all paths */
static int64_t looked;                /* when that was done last */
static unsigned seen;                 /* the services_version() that was looked at */

/* Events are looked at again only after a pause: a directory's owner can make many. */
static void take_events(struct watch *w, int64_t now)
{
	char events[4096];

	while (read(inotify, events, sizeof(events)) > 0)
		;
	(void)watch_set(w, inotify, false);
	look_at = clock_min(look_at, looked + LOOK_PAUSE);
	if (look_at < now)
		look_at = now;
}

void pathwatch_open(void)
{
	pathwatch.ready = take_events;
	inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	(void)watch_set(&pathwatch, inotify, true);
}

void pathwatch_close(void)
{
	close(inotify);
}

/* One that has no socket could not be opened because its path was taken. */
static bool is_watched(const struct instance *i)
{
	if (i->state != INSTANCE_CURRENT || !i->enabled)
		return false;
	if (i->listener.fd < 0)
		return problem_is_path(i);
	return !i->listener.foreign && *i->service->socket != '@';
}

/* Directories further up may be renamed, too. Their watches are shared by many, and
 * stay. */
static void watch_above(const char *path)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	for (char *slash = strrchr(dir, '/'); slash != NULL && slash != dir;
	     slash = strrchr(dir, '/')) {
		*slash = '\0';
		(void)inotify_add_watch(inotify, dir, DIRECTORY_EVENTS);
	}
}

static void add_watches(struct instance *i)
{
	const char *path = i->service->socket;
	struct listener *l = &i->listener;
	char dir[128];

	if (l->wd >= 0 || inotify < 0)
		return;
	watch_above(path);
	snprintf(dir, sizeof(dir), "%.*s/.", (int)(strrchr(path, '/') - path), path);
	l->dir_wd = inotify_add_watch(inotify, dir, DIRECTORY_EVENTS);
	l->wd = inotify_add_watch(inotify, path, SOCKET_EVENTS | IN_DONT_FOLLOW);
}

/* The directory's watch is shared by all that are in it. */
void pathwatch_forget(struct instance *forgotten)
{
	struct listener *l = &forgotten->listener;
	bool shared = false;

	for (struct instance *i = services_first(); i != NULL; i = i->next)
		shared = shared || (i != forgotten && i->listener.dir_wd == l->dir_wd);
	if (l->wd >= 0)
		(void)inotify_rm_watch(inotify, l->wd);
	if (l->dir_wd >= 0 && !shared)
		(void)inotify_rm_watch(inotify, l->dir_wd);
	l->wd = l->dir_wd = -1;
}

static void log_path(const struct instance *i, const char *error)
{
	log_event(LOG_WARNING, "path", "service", i->service->name, "socket",
		  i->service->socket, "error", error, NULL);
}

static void renew(struct instance *i, bool should_log, int64_t now)
{
	struct failure f;
	char error[256];

	pathwatch_forget(i);
	f = renew_instance(i, true, now);
	if (!failed(f))
		return;
	if (problem_set_failure(i, f) && i->listener.fd < 0)
		problem_log(i);
	if (i->listener.fd < 0 || !should_log)
		return;
	snprintf(error, sizeof(error), "cannot be made: %s: %s", f.operation,
		 strerror(f.error));
	log_path(i, error);
}

/* A listening socket that was shut down is of no use any more, wherever its path is. */
static void renew_shut(struct instance *i, int64_t now)
{
	if (now < i->backoff.until)
		return;
	listener_remove(i->service, &i->listener);
	renew(i, i->seen == LISTENER_OURS, now);
	i->seen = LISTENER_GONE;
	if (!instance_is_superseded(i))
		backoff_extend(&i->backoff, now);
}

static void check_path(struct instance *i, int64_t now)
{
	enum listener_state before = i->seen;

	i->seen = LISTENER_GONE;
	if (i->listener.fd >= 0) {
		add_watches(i);
		i->seen = listener_look(i->service, &i->listener);
	}
	if (i->seen == LISTENER_OURS && problem_is_socket(i)) {
		problem_clear(i); /* it was put back */
		listener_log(i->service);
	}
	if (i->seen == LISTENER_FOREIGN && before != LISTENER_FOREIGN)
		log_path(i,
			 "another process has put something else there: made again when "
			 "that has been removed");
	if (i->seen == LISTENER_GONE && before == LISTENER_OURS)
		log_path(i, "another process has deleted it");
	if (i->seen == LISTENER_GONE)
		renew(i, before != LISTENER_GONE, now);
}

int64_t pathwatch_due(void)
{
	int64_t due = seen != services_version() ? 0 : look_at;

	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		if (i->listener_shut && i->state == INSTANCE_CURRENT)
			due = clock_min(due, i->backoff.until);
	return due;
}

void pathwatch_tick(int64_t now)
{
	bool again = false;

	if (now < pathwatch_due())
		return;
	look_at = CLOCK_NEVER;
	looked = now;
	(void)watch_set(&pathwatch, inotify, true);
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (i->listener_shut && i->listener.foreign)
			i->listener_shut = false; /* systemd's: nothing that we can do */
		else if (i->listener_shut && i->state == INSTANCE_CURRENT)
			renew_shut(i, now);
		else if (is_watched(i))
			check_path(i, now);
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		again = again || (is_watched(i) &&
				  (i->seen != LISTENER_OURS || i->listener.wd < 0));
	if (again)
		look_at = now + PROBLEM_LOOK;
	seen = services_version(); /* what we renewed ourselves was looked at */
}
