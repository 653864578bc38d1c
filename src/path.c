/*
 * path.c: is what we made still there?
 */
#include "path.h"

#include "change.h"
#include "clock.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#define LOOK_PAUSE (100 * NSEC_PER_MSEC)
#define LOOK_AGAIN NSEC_PER_SEC
#define SOCKET_EVENTS (IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF)
#define DIRECTORY_EVENTS (IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR)

/* Events are looked at again only after a pause: whoever owns a directory can make many. */
static void watch_events(struct supervisor *sup, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &sup->on_paths};

	if (sup->inotify >= 0 && on != sup->on_paths.on &&
	    epoll_ctl(sup->shared.epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, sup->inotify,
		      &event) == 0)
		sup->on_paths.on = on;
}

int path_open(struct supervisor *sup)
{
	sup->on_paths = (struct watch){.kind = WATCH_PATHS};
	sup->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch_events(sup, true);
	return sup->inotify >= 0 ? 0 : -1;
}

void path_event(struct supervisor *sup, int64_t now)
{
	char events[4096];

	while (read(sup->inotify, events, sizeof(events)) > 0)
		;
	watch_events(sup, false);
	sup->paths_due = clock_min(sup->paths_due, sup->paths_looked + LOOK_PAUSE);
	if (sup->paths_due < now)
		sup->paths_due = now;
}

void path_look_soon(struct supervisor *sup, int64_t now)
{
	sup->paths_due = now;
}

/* One that has no socket yet could not be opened after an upgrade. */
static bool is_watched(const struct unit *u)
{
	return !u->former && !u->retiring && u->enabled &&
	       (u->listener.fd < 0 ||
		(!u->listener.foreign && *u->service->socket != '@'));
}

/* Directories further up may be renamed, too. Their watches are shared by many, and stay. */
static void watch_above(struct supervisor *sup, const char *path)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	for (char *slash = strrchr(dir, '/'); slash != NULL && slash != dir;
	     slash = strrchr(dir, '/')) {
		*slash = '\0';
		(void)inotify_add_watch(sup->inotify, dir, DIRECTORY_EVENTS);
	}
}

static void add_watches(struct supervisor *sup, struct unit *u)
{
	const char *path = u->service->socket;
	struct listener *l = &u->listener;
	char dir[128];

	if (l->wd >= 0 || sup->inotify < 0)
		return;
	watch_above(sup, path);
	snprintf(dir, sizeof(dir), "%.*s/.", (int)(strrchr(path, '/') - path), path);
	l->dir_wd = inotify_add_watch(sup->inotify, dir, DIRECTORY_EVENTS);
	l->wd = inotify_add_watch(sup->inotify, path, SOCKET_EVENTS | IN_DONT_FOLLOW);
}

/* The directory's watch is shared by all that are in it. */
void path_forget(struct supervisor *sup, struct unit *gone)
{
	struct listener *l = &gone->listener;
	bool shared = false;

	for (struct unit *u = sup->units; u != NULL; u = u->next)
		shared = shared || (u != gone && u->listener.dir_wd == l->dir_wd);
	if (l->wd >= 0)
		(void)inotify_rm_watch(sup->inotify, l->wd);
	if (l->dir_wd >= 0 && !shared)
		(void)inotify_rm_watch(sup->inotify, l->dir_wd);
	l->wd = l->dir_wd = -1;
}

static void log_path(const struct unit *u, const char *error)
{
	log_event(LOG_WARNING, "path", "service", u->service->name, "socket",
		  u->service->socket, "error", error, NULL);
}

static void try_to_renew(struct supervisor *sup, struct unit *u, bool news, int64_t now)
{
	const char *step;
	char error[256];

	if (change_unit(sup, u, true, &step, now) == 0)
		return;
	snprintf(error, sizeof(error), "cannot be made: %s: %s", step, strerror(errno));
	if (news)
		log_path(u, error);
}

static void look(struct supervisor *sup, struct unit *u, int64_t now)
{
	enum listener_state before = u->seen;

	if (u->shut) {
		if (now < u->backoff.until)
			return;
		listener_remove(u->service, &u->listener);
		try_to_renew(sup, u, before == LISTENER_OURS, now);
		u->seen = LISTENER_GONE;
		if (!u->former)
			backoff_extend(&u->backoff, now);
		return;
	}
	if (u->listener.fd >= 0) {
		add_watches(sup, u);
		u->seen = listener_look(u->service, &u->listener);
	} else {
		u->seen = LISTENER_GONE;
	}
	if (u->seen == LISTENER_FOREIGN && before != LISTENER_FOREIGN)
		log_path(u,
			 "somebody has put something else there: made again when it has "
			 "gone");
	if (u->seen == LISTENER_GONE && before == LISTENER_OURS)
		log_path(u, "somebody has deleted it");
	if (u->seen == LISTENER_GONE)
		try_to_renew(sup, u, before != LISTENER_GONE, now);
}

int64_t path_due(const struct supervisor *sup)
{
	int64_t due = sup->paths_due;

	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->shut && !u->former)
			due = clock_min(due, u->backoff.until);
	return due;
}

void path_tick(struct supervisor *sup, int64_t now)
{
	bool again = false;

	if (sup->stopping || now < path_due(sup))
		return;
	sup->paths_due = CLOCK_NEVER;
	sup->paths_looked = now;
	watch_events(sup, true);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->shut && !u->former && u->listener.foreign)
			u->shut = false; /* systemd's: nothing that we can do */
		else if (is_watched(u) || (u->shut && !u->former && !u->retiring))
			look(sup, u, now);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		again = again || (is_watched(u) &&
				  (u->seen != LISTENER_OURS || u->listener.wd < 0));
	if (again)
		sup->paths_due = now + LOOK_AGAIN;
}
