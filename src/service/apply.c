/*
 * apply.c: puts a config in force as a whole, or not at all.
 *
 * What can fail (memory, binding, owners and modes, the pid file) is done first and
 * undone if something fails. The swap then only passes on what is there. Sockets are kept
 * by path and type, scoreboards by name, or by socket where a service was renamed.
 */
#include "service/apply.h"

#include "service/lifecycle.h"
#include "common/directory.h"
#include "common/log.h"
#include "common/pidfile.h"
#include "service/problem.h"
#include "config/service.h"
#include "service/services.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What becomes of one service of the new config. */
struct change {
	const struct service *service;
	struct instance *before; /* it was this one; NULL: it is new */
	struct instance *giver;  /* has the socket that it wants; NULL: one is made */
	struct instance *fresh;  /* its new instance; NULL: nothing has changed */
	struct instance *hidden; /* whose path was moved out of the way; NULL: none's */
	bool applied; /* the giver's socket has its owner, mode and backlog already */
	bool enabled; /* it is to have a socket */
	bool same;    /* the same was written of the one before */
	struct failure
		failure; /* why it has no socket yet: no reason to refuse the rest */
};

struct plan {
	struct loaded *loaded;
	bool tolerant;
	struct tally *tally;
	size_t count;
	struct change *changes;
	int pidfile;   /* the new one; -1: as it was */
	int spare;     /* a descriptor, so that there is one to put things back with */
	char **errors; /* what went wrong */
};

static const struct service *find_name(const struct config *c, const char *name)
{
	for (size_t i = 0; i < config_sockets(c); i++)
		if (strcmp(config_socket(c, i)->name, name) == 0)
			return config_socket(c, i);
	return NULL;
}

/* The instance that has the path, of the same type or (`other`) of another. */
static struct instance *find_socket(const struct service *s, bool other)
{
	struct instance *found = NULL;

	for (struct instance *i = services_first(); i != NULL; i = i->next) {
		if (i->state != INSTANCE_CURRENT || i->listener.fd < 0 ||
		    (i->service->type != s->type) != other)
			continue;
		if (strcmp(i->service->socket, s->socket) == 0)
			return i;
		if (found == NULL && directory_is_same(i->service->socket, s->socket))
			found = i;
	}
	return found;
}

static void match(struct plan *p)
{
	for (size_t n = 0; n < p->count; n++) {
		struct change *c = &p->changes[n];

		c->service = config_socket(p->loaded->config, n);
		c->before = services_find(c->service->name);
		c->same = c->before != NULL &&
			  service_same_text(c->before->service, c->service);
		c->enabled = p->tolerant && c->before != NULL ? c->before->enabled
							      : c->service->enabled;
		if (c->enabled)
			c->giver = find_socket(c->service, false);
		if (c->before == NULL && c->giver != NULL &&
		    find_name(p->loaded->config, c->giver->service->name) == NULL)
			c->before = c->giver; /* renamed */
	}
}

/* Whether the instance before goes on. One that was serving does so even if its service
 * cannot run as things are now. */
static bool is_kept(const struct plan *p, const struct change *c)
{
	const struct instance *i = c->before;

	if (i == NULL)
		return false;
	if (!service_can_run(c->service))
		return c->same;
	if (p->tolerant && i->problem.kind == PROBLEM_NONE)
		return true;
	return i->enabled == c->enabled && c->giver == (c->enabled ? i : NULL) &&
	       service_can_run(i->service) && service_same(i->service, c->service);
}

__attribute__((format(printf, 2, 3))) static void add_error(struct plan *p,
							    const char *format, ...)
{
	va_list args;

	free(*p->errors);
	va_start(args, format);
	if (vasprintf(p->errors, format, args) < 0)
		*p->errors = NULL;
	va_end(args);
}

static int refuse_change(struct plan *p, const struct service *s, struct failure f)
{
	add_error(p, "%s:%u: error: service %s: %s: %s: %s",
		  s->at.file != NULL ? s->at.file : "command line", s->at.line, s->name,
		  s->socket, f.operation, strerror(f.error));
	return -1;
}

/* A service that is new or has changed is to be able to run. */
static int check_changes(struct plan *p)
{
	for (size_t n = 0; n < p->count; n++) {
		const struct change *c = &p->changes[n];

		if (service_can_run(c->service) || is_kept(p, c))
			continue;
		add_error(p, "%s", ""); /* the findings have said it */
		return -1;
	}
	return 0;
}

/* The new instance cannot have its socket. If the same was wanted before that is its
 * state, else it refuses the config. */
static int fail_change(struct plan *p, struct change *c, struct failure f)
{
	if (!c->same)
		return refuse_change(p, c->service, f);
	c->failure = f;
	instance_free(c->fresh);
	c->fresh = NULL;
	return 0;
}

/* A new instance, with a socket of its own if there is none for it. */
static int make_instance(struct plan *p, struct change *c)
{
	const struct service *s = c->service;
	struct failure f;

	c->fresh = lifecycle_new(p->loaded, s);
	if (c->fresh == NULL)
		return refuse_change(p, s, failure("make an instance"));
	c->fresh->enabled = c->enabled;
	if (c->before != NULL)
		c->fresh->board = board_hold(c->before->board);
	if (!c->enabled || c->giver != NULL)
		return 0;
	c->hidden = find_socket(s, true);
	if (c->hidden != NULL &&
	    listener_hide(c->hidden->service, &c->hidden->listener, true) < 0) {
		c->hidden = NULL;
		return refuse_change(p, s, failure("make room for it"));
	}
	f = listener_open(s, &c->fresh->listener, 0);
	return failed(f) ? fail_change(p, c, f) : 0;
}

static int make_instances(struct plan *p)
{
	for (size_t n = 0; n < p->count; n++)
		if (!is_kept(p, &p->changes[n]) && make_instance(p, &p->changes[n]) < 0)
			return -1;
	return 0;
}

/* Whether a socket that stays may have another owner, mode or backlog now. */
static bool is_to_apply(const struct plan *p, const struct change *c)
{
	if (c->giver == NULL || !service_can_run(c->service) ||
	    (p->tolerant && c->fresh == NULL))
		return false;
	return !service_can_run(c->giver->service) ||
	       !service_same_socket(c->giver->service, c->service);
}

/* Gives kept sockets their new owner, mode and backlog. */
static int apply_to_sockets(struct plan *p)
{
	for (size_t n = 0; n < p->count; n++) {
		struct change *c = &p->changes[n];
		struct failure f;

		if (!is_to_apply(p, c))
			continue;
		c->applied = service_can_run(c->giver->service);
		f = listener_apply(c->service, &c->giver->listener);
		if (failed(f) && c->fresh != NULL && !c->applied) {
			if (fail_change(p, c, f) < 0)
				return -1;
		} else if (failed(f)) {
			return refuse_change(p, c->service, f);
		}
	}
	return 0;
}

static int take_pidfile(struct plan *p)
{
	const char *path = p->loaded->config->pid_file;

	if (*path == '\0' || strcmp(path, services_config()->pid_file) == 0)
		return 0;
	if (services_pidfile >= 0 && pidfile_is_at(path, services_pidfile)) {
		p->pidfile = services_pidfile; /* the same by another name */
		return 0;
	}
	p->pidfile = pidfile_take(path);
	if (p->pidfile >= 0)
		return 0;
	add_error(p, "pid-file %s: %s", path,
		  errno == EWOULDBLOCK ? "another udsd holds it" : strerror(errno));
	return -1;
}

/* Puts all back as it was. */
static void undo(struct plan *p)
{
	close(p->spare);
	p->spare = -1;
	for (size_t n = p->count; n-- > 0;) {
		struct change *c = &p->changes[n];

		if (c->fresh != NULL && c->fresh->listener.fd >= 0)
			listener_remove(c->service, &c->fresh->listener);
		if (c->fresh != NULL)
			instance_free(c->fresh);
		if (c->hidden != NULL)
			(void)listener_hide(c->hidden->service, &c->hidden->listener,
					    false);
		if (c->applied)
			(void)listener_apply(c->giver->service, &c->giver->listener);
	}
}

/* ---- The swap, which cannot fail
 * -------------------------------------------------------- */

/* Those that have waited for this instance's successor to be able to start wait for
 * `to`. */
static void pass_predecessors(struct instance *from, struct instance *to)
{
	for (struct instance *i = services_first(); i != NULL; i = i->next) {
		if (i->successor != from)
			continue;
		from->predecessors--;
		lifecycle_succeed(i, to);
	}
}

/* What is known now of an instance that stays. */
static void keep_problem(const struct change *c, struct instance *i)
{
	bool news = false;

	if (!c->enabled)
		problem_clear(i);
	else if (!service_can_run(c->service))
		news = problem_set(i, &c->service->problem);
	else if (failed(c->failure))
		news = problem_set_failure(i, c->failure);
	else if (i->problem.kind != PROBLEM_NONE && i->listener.fd >= 0 &&
		 !problem_is_socket(i)) {
		problem_clear(i);
		listener_log(i->service);
	}
	if (news)
		problem_log(i);
}

/* One that serves keeps what it was configured while the service cannot run as it is
 * now. */
static void keep(struct plan *p, struct change *c, int64_t now)
{
	struct instance *i = c->before;

	i->in_force = true;
	i->enabled = c->enabled;
	if (service_can_run(c->service) ? service_same(i->service, c->service)
					: !service_can_run(i->service)) {
		loaded_release(i->loaded);
		i->loaded = loaded_hold(p->loaded);
		i->service = c->service;
		i->backoff.service = i->service->name;
	}
	keep_problem(c, i);
	if (p->tolerant)
		return;
	backoff_init(&i->backoff, i->service->name); /* all is tried again */
	instance_retry(i, now);
}

static void put_in_force(struct plan *p, struct change *c)
{
	if (c->giver != NULL) {
		pass_predecessors(c->giver, c->fresh);
		lifecycle_pass_listener(c->giver, c->fresh);
	}
	if (c->enabled && (c->giver == NULL || c->giver->problem.kind != PROBLEM_NONE))
		listener_log(c->service);
	c->fresh->in_force = true;
	if (!instance_is_control(c->fresh)) {
		p->tally->added += c->before == NULL;
		p->tally->changed += c->before != NULL;
	}
	services_add(c->fresh);
}

/* Instances of the old config that no service has kept. */
static void supersede_others(struct plan *p, int64_t now)
{
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (!instance_is_superseded(i) && !i->in_force) {
			p->tally->removed += !instance_is_control(i);
			lifecycle_supersede(i, now);
		}
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		i->in_force = false;
	p->tally->removed -= p->tally->changed;
}

static void swap_globals(struct plan *p)
{
	const struct config *old = services_config(), *new = p->loaded->config;

	if (strcmp(old->pid_file, new->pid_file) != 0) {
		if (services_pidfile >= 0 && services_pidfile != p->pidfile)
			pidfile_release(old->pid_file, services_pidfile);
		services_pidfile = p->pidfile;
	}
	if (old->syslog_facility != new->syslog_facility)
		log_channel_set_facility(new->syslog_facility);
	log_open(log_channel_own.in, new->log_level, NULL);
	services_set_config(p->loaded);
}

static void commit(struct plan *p, int64_t now)
{
	*p->tally = (struct tally){0};
	for (size_t n = 0; n < p->count; n++)
		if (p->changes[n].fresh == NULL)
			keep(p, &p->changes[n], now);
	for (size_t n = 0; n < p->count; n++)
		if (p->changes[n].fresh != NULL)
			put_in_force(p, &p->changes[n]);
	supersede_others(p, now);
	swap_globals(p);
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		instance_watch(i, now);
	services_changed();
}

int apply_config(struct loaded *loaded, bool tolerant, struct tally *tally, char **errors,
		 int64_t now)
{
	struct plan p = {.loaded = loaded,
			 .tolerant = tolerant,
			 .tally = tally,
			 .count = config_sockets(loaded->config),
			 .pidfile = -1,
			 .errors = errors};
	int rc = -1;

	*errors = NULL;
	p.changes = calloc(p.count + 1, sizeof(*p.changes));
	p.spare = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	add_error(&p, "%s", strerror(p.changes == NULL ? ENOMEM : errno));
	if (p.changes != NULL && p.spare >= 0) {
		match(&p);
		if (check_changes(&p) == 0 && make_instances(&p) == 0 &&
		    apply_to_sockets(&p) == 0)
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
