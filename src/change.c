/*
 * change.c: all or nothing.
 *
 * What can fail (memory, binding, owners and modes, the pid file) is done first and undone if
 * something fails. The swap then only passes on what is there. Sockets are kept by path and type,
 * scoreboards by name, or by socket where a service was renamed.
 */
#include "change.h"

#include "clock.h"
#include "log.h"
#include "logger.h"
#include "notify.h"
#include "path.h"
#include "pidfile.h"
#include "service.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What becomes of one service of the new config. */
struct change {
	const struct service *service;
	struct unit *before; /* it was this one; NULL: it is new */
	struct unit *giver;  /* has the socket that it wants; NULL: one is made */
	struct unit *fresh;  /* its new unit; NULL: nothing has changed */
	struct unit *hidden; /* whose path was moved out of the way; NULL: nobody's */
	bool applied; /* the giver's socket has its owner, mode and backlog already */
};

struct plan {
	struct supervisor *sup;
	struct loaded *loaded;
	size_t count;
	struct change *changes;
	int pidfile; /* the new one; -1: as it was */
	int spare;   /* a descriptor, so that there is one to put things back with */
	char *error; /* what went wrong */
	size_t size;
};

static bool is_current(const struct unit *u)
{
	return !u->former && !u->retiring;
}

static const struct service *find_name(const struct config *c, const char *name)
{
	for (size_t i = 0; i < config_sockets(c); i++)
		if (strcmp(config_socket(c, i)->name, name) == 0)
			return config_socket(c, i);
	return NULL;
}

/* The unit that has the path, of the same type or (`other`) of another. */
static struct unit *find_socket(const struct plan *p, const struct service *s, bool other)
{
	for (struct unit *u = p->sup->units; u != NULL; u = u->next)
		if (is_current(u) && u->listener.fd >= 0 &&
		    (u->service->type != s->type) == other &&
		    strcmp(u->service->socket, s->socket) == 0)
			return u;
	return NULL;
}

static void match(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct change *c = &p->changes[i];
		struct unit *u = p->sup->units;

		c->service = config_socket(p->loaded->config, i);
		if (c->service->enabled)
			c->giver = find_socket(p, c->service, false);
		while (u != NULL && (!is_current(u) ||
				     strcmp(u->service->name, c->service->name) != 0))
			u = u->next;
		if (u == NULL && c->giver != NULL &&
		    find_name(p->loaded->config, c->giver->service->name) == NULL)
			u = c->giver; /* renamed */
		c->before = u;
	}
}

static bool is_unchanged(const struct change *c)
{
	return c->before != NULL && c->before->enabled == c->service->enabled &&
	       c->giver == (c->service->enabled ? c->before : NULL) &&
	       service_same(c->before->service, c->service);
}

static int fail(struct plan *p, const struct service *s, const char *step)
{
	snprintf(p->error, p->size, "%s:%u: service %s: %s: %s: %s",
		 s->at.file != NULL ? s->at.file : "command line", s->at.line, s->name,
		 s->socket, step, strerror(errno));
	return -1;
}

/* A new unit, with a socket of its own if nobody has one for it. */
static int make_unit(struct plan *p, struct change *c)
{
	const struct service *s = c->service;
	const char *step = "make room for it";

	c->fresh = unit_new(p->loaded, s);
	if (c->fresh == NULL)
		return fail(p, s, "no memory");
	if (c->before != NULL)
		c->fresh->board = board_hold(c->before->board);
	if (!s->enabled || c->giver != NULL)
		return 0;
	c->hidden = find_socket(p, s, true);
	if (c->hidden != NULL &&
	    listener_hide(c->hidden->service, &c->hidden->listener, true) < 0) {
		c->hidden = NULL;
		return fail(p, s, step);
	}
	return listener_open(s, &c->fresh->listener, 0, &step) < 0 ? fail(p, s, step) : 0;
}

static int make(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (!is_unchanged(&p->changes[i]) && make_unit(p, &p->changes[i]) < 0)
			return -1;
	return 0;
}

static int apply(struct plan *p)
{
	const char *step;

	for (size_t i = 0; i < p->count; i++) {
		struct change *c = &p->changes[i];

		if (c->giver == NULL ||
		    service_same_socket(c->giver->service, c->service))
			continue;
		c->applied = true;
		if (listener_apply(c->service, &c->giver->listener, &step) < 0)
			return fail(p, c->service, step);
	}
	return 0;
}

static int take_pidfile(struct plan *p)
{
	const char *path = p->loaded->config->pid_file;

	if (*path == '\0' || strcmp(path, supervisor_config(p->sup)->pid_file) == 0)
		return 0;
	if (p->sup->pidfile >= 0 && pidfile_is_at(path, p->sup->pidfile)) {
		p->pidfile = p->sup->pidfile; /* the same by another name */
		return 0;
	}
	p->pidfile = pidfile_take(path);
	if (p->pidfile >= 0)
		return 0;
	snprintf(p->error, p->size, "pid-file %s: %s", path,
		 errno == EWOULDBLOCK ? "another udsd holds it" : strerror(errno));
	return -1;
}

/* Puts all back as it was. */
static void undo(struct plan *p)
{
	const char *step;

	close(p->spare);
	p->spare = -1;
	for (size_t i = p->count; i-- > 0;) {
		struct change *c = &p->changes[i];

		if (c->fresh != NULL && c->fresh->listener.fd >= 0)
			listener_remove(c->service, &c->fresh->listener);
		if (c->fresh != NULL)
			unit_free(c->fresh, &p->sup->shared);
		if (c->hidden != NULL)
			(void)listener_hide(c->hidden->service, &c->hidden->listener,
					    false);
		if (c->applied)
			(void)listener_apply(c->giver->service, &c->giver->listener,
					     &step);
	}
}

/* Whoever would have waited for this unit's workers, or it for others', is another now. */
static void pass_heirs(struct plan *p, struct unit *from, struct unit *to)
{
	for (struct unit *u = p->sup->units; u != NULL; u = u->next) {
		if (u->heir != from)
			continue;
		u->heir = to;
		from->awaits--;
		to->awaits++;
	}
}

static void keep(struct plan *p, struct change *c, int64_t now)
{
	struct unit *u = c->before;

	loaded_release(u->loaded);
	u->loaded = loaded_hold(p->loaded);
	u->service = c->service;
	backoff_init(&u->backoff, u->service->name); /* all is tried again */
	unit_order(u, WORKER_RETRY, now);
}

static void count(struct tally *t, const struct change *c)
{
	if (unit_is_control(c->fresh))
		return;
	t->added += c->before == NULL;
	t->changed += c->before != NULL;
}

static void swap_sockets(struct plan *p)
{
	struct supervisor *sup = p->sup;

	for (size_t i = 0; i < p->count; i++) {
		struct change *c = &p->changes[i];

		if (c->fresh == NULL)
			continue;
		if (c->giver != NULL) {
			pass_heirs(p, c->giver, c->fresh);
			unit_pass_listener(c->giver, c->fresh, &sup->shared);
		} else if (c->service->enabled) {
			supervisor_log_listen(c->fresh);
		}
		count(&sup->tally, c);
		supervisor_add(sup, c->fresh);
	}
}

/* Units of the old config that no service has kept. */
static void supersede(struct plan *p, int64_t now)
{
	struct supervisor *sup = p->sup;

	for (struct unit *u = sup->units; u != NULL; u = u->next)
		if (!u->former && u->loaded != p->loaded) {
			sup->tally.removed += !unit_is_control(u);
			unit_supersede(u, &sup->shared, now);
		}
	sup->tally.removed -= sup->tally.changed;
}

static void swap_globals(struct plan *p)
{
	const struct config *old = supervisor_config(p->sup), *new = p->loaded->config;
	struct supervisor *sup = p->sup;

	if (strcmp(old->pid_file, new->pid_file) != 0) {
		if (sup->pidfile >= 0 && sup->pidfile != p->pidfile)
			pidfile_release(old->pid_file, sup->pidfile);
		sup->pidfile = p->pidfile;
	}
	if (old->syslog_facility != new->syslog_facility)
		logger_set_facility(&sup->shared.orders, new->syslog_facility);
	log_open(sup->shared.log.in, new->log_level, NULL);
	loaded_release(sup->loaded);
	sup->loaded = loaded_hold(p->loaded);
}

static void commit(struct plan *p, int64_t now)
{
	struct supervisor *sup = p->sup;

	sup->tally = (struct tally){0};
	for (size_t i = 0; i < p->count; i++)
		if (p->changes[i].fresh == NULL)
			keep(p, &p->changes[i], now);
	swap_sockets(p);
	supersede(p, now);
	swap_globals(p);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		unit_watch(u, &sup->shared, now);
	path_look_soon(sup, now);
	notify_store(sup->units);
}

int change_config(struct supervisor *sup, struct loaded *loaded, char *error, size_t size,
		  int64_t now)
{
	struct plan p = {.sup = sup,
			 .loaded = loaded,
			 .count = config_sockets(loaded->config),
			 .pidfile = -1,
			 .error = error,
			 .size = size};
	int rc = -1;

	p.changes = calloc(p.count + 1, sizeof(*p.changes));
	p.spare = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	snprintf(error, size, "%s", strerror(p.changes == NULL ? ENOMEM : errno));
	if (p.changes != NULL && p.spare >= 0) {
		match(&p);
		if (make(&p) == 0 && apply(&p) == 0)
			rc = take_pidfile(&p);
		if (rc == 0)
			commit(&p, now);
		else
			undo(&p);
	}
	if (p.spare >= 0)
		close(p.spare);
	free(p.changes);
	return rc;
}

int change_unit(struct supervisor *sup, struct unit *u, bool enabled, const char **step,
		int64_t now)
{
	struct unit *fresh = unit_new(u->loaded, u->service);

	*step = "no memory";
	if (fresh == NULL)
		return -1;
	fresh->enabled = enabled;
	if (enabled && listener_open(u->service, &fresh->listener, 0, step) < 0) {
		int saved = errno;

		unit_free(fresh, &sup->shared);
		errno = saved;
		return -1;
	}
	fresh->board = board_hold(u->board);
	fresh->backoff = u->backoff;
	supervisor_add(sup, fresh);
	path_forget(sup, u);
	unit_supersede(u, &sup->shared, now);
	if (enabled)
		supervisor_log_listen(fresh);
	unit_watch(fresh, &sup->shared, now);
	notify_store(sup->units);
	return 0;
}
