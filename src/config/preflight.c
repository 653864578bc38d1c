/*
 * preflight.c: would this config work here? Asked before anything is started.
 *
 * What depends on a user is tried by a child that has become this user, the way a worker does:
 * one child for all services with the same identity.
 */
#include "config/preflight.h"

#include "config/account.h"
#include "common/privilege.h"
#include "config/service.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIAL_OVER "over\n" /* the last line of a trial */
#define TRIAL_MAX 65536     /* bytes of what a child finds wrong */

/* Whether a user other than root and `uid` could replace this entry of a directory, or what is in it. */
static bool is_replaceable(const struct stat *st, uid_t uid)
{
	if (st->st_uid != 0 && st->st_uid != uid)
		return true;
	if (S_ISLNK(st->st_mode) || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX)))
		return false;
	return (st->st_mode & 022) != 0;
}

/* A path that is walked entry by entry, links included. */
struct path_walk {
	char done[PATH_MAX]; /* what was looked at, without a trailing slash */
	char rest[PATH_MAX]; /* what was not */
	int links;
};

static void walk_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash != NULL)
		*slash = '\0';
}

/* Goes on with what the link at `done` says. */
static bool walk_link(struct path_walk *w)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlink(w->done, target, sizeof(target) - 1);

	if (len < 0 || ++w->links > 40)
		return false;
	target[len] = '\0';
	if (snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= (int)sizeof(rest))
		return false;
	memcpy(w->rest, rest, sizeof(rest));
	if (*target == '/')
		*w->done = '\0';
	else
		walk_up(w->done);
	return true;
}

/* Takes the next name off `rest` and puts it behind `done`. False at the end. */
static bool walk_down(struct path_walk *w)
{
	const char *name = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(name, "/"), at = strlen(w->done);

	if (len == 0 || at + 1 + len >= sizeof(w->done))
		return false;
	if (len == 2 && memcmp(name, "..", 2) == 0) {
		walk_up(w->done);
	} else if (len != 1 || *name != '.') {
		w->done[at] = '/';
		memcpy(w->done + at + 1, name, len);
		w->done[at + 1 + len] = '\0';
	}
	memmove(w->rest, name + len, strlen(name + len) + 1);
	return true;
}

/* Walks to the end of a path: true if a part of it, left in w->done, could be replaced. What is not
 * there is left to the trial. */
static bool walk_replaceable(struct path_walk *w, uid_t uid)
{
	struct stat st;

	do {
		if (lstat(*w->done != '\0' ? w->done : "/", &st) < 0)
			return false;
		if (is_replaceable(&st, uid))
			return true;
		if (S_ISLNK(st.st_mode) && !walk_link(w))
			return false;
	} while (walk_down(w));
	return false;
}

static void check_owner(struct service *s, struct faults *faults)
{
	struct path_walk w = {.links = 0};

	if (snprintf(w.rest, sizeof(w.rest), "%s", s->handler[0]) >=
		    (int)sizeof(w.rest) ||
	    !walk_replaceable(&w, s->identity.uid))
		return;
	fault_problem(faults, &s->problem, PROBLEM_FAILED, "handler",
		      service_place(s, "handler"),
		      "handler %s: %s could be replaced by a user other than root and "
		      "%s: fix its owner and mode",
		      s->handler[0], *w.done != '\0' ? w.done : "/", s->account->name);
}

/* Whether the options that are looked at here had good values. */
static bool is_complete(const struct service *s)
{
	return s->handler != NULL && s->socket != NULL && s->directory != NULL &&
	       s->account != NULL && (s->identity.groups != NULL || geteuid() != 0);
}

/* What the trial is about: the services from `first` on that share its identity. */
struct trial {
	const struct config *config;
	size_t first;
};

static void try_service(int fd, size_t index, const struct service *s)
{
	struct stat st;
	int dir = open(s->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || fchdir(dir) < 0)
		dprintf(fd, "%zu directory %s cannot be entered by %s: %s\n", index,
			s->directory, s->account->name, strerror(errno));
	if (dir >= 0)
		close(dir);
	if (access(s->handler[0], X_OK) < 0)
		dprintf(fd, "%zu handler %s cannot be executed by %s: %s\n", index,
			s->handler[0], s->account->name, strerror(errno));
	else if (stat(s->handler[0], &st) == 0 && !S_ISREG(st.st_mode))
		dprintf(fd, "%zu handler %s cannot be executed: it is not a file\n",
			index, s->handler[0]);
}

static void try_as_user(int fd, const void *arg)
{
	const struct trial *trial = arg;
	const struct config *c = trial->config;
	const struct service *first = &c->services[trial->first];
	struct failure f = privilege_drop(&first->identity);

	if (failed(f) && (f.error == EAGAIN || f.error == ENOMEM))
		return; /* that says nothing of the user */
	if (failed(f)) {
		dprintf(fd, "%zu user %s cannot be used: %s: %s\n" TRIAL_OVER,
			trial->first, first->account->name, f.operation,
			strerror(f.error));
		return;
	}
	for (size_t i = trial->first; i < c->count; i++)
		if (is_complete(&c->services[i]) &&
		    identity_same(&first->identity, &c->services[i].identity))
			try_service(fd, i, &c->services[i]);
	dprintf(fd, TRIAL_OVER);
}

/* Turns a trial's lines, `INDEX OPTION what is wrong with it`, into problems. */
static void report_trial(const struct config *c, char *text, struct faults *faults)
{
	char *line, *what;

	for (line = strtok_r(text, "\n", &text); line != NULL;
	     line = strtok_r(NULL, "\n", &text)) {
		size_t index = strtoul(line, &what, 10);
		struct service *s = &c->services[index < c->count ? index : 0];
		char option[32];

		if (index >= c->count || *what++ != ' ')
			continue;
		snprintf(option, sizeof(option), "%.*s", (int)strcspn(what, " "), what);
		fault_problem(faults, &s->problem, PROBLEM_FAILED, option,
			      service_place(s, option), "%s", what);
	}
}

static void run_trial(const struct config *c, size_t first, struct faults *faults)
{
	const struct service *s = &c->services[first];
	struct trial trial = {c, first};
	static char text[TRIAL_MAX];
	ssize_t n;

	for (size_t i = 0; i < first; i++)
		if (is_complete(&c->services[i]) &&
		    identity_same(&c->services[i].identity, &s->identity))
			return;
	n = account_ask(try_as_user, &trial, text, sizeof(text) - 1);
	if (n < 0)
		n = 0;
	text[n] = '\0';
	/* The user itself may have stopped or ended the child: no reason to refuse the others. */
	if (n < (ssize_t)strlen(TRIAL_OVER) ||
	    strcmp(text + n - strlen(TRIAL_OVER), TRIAL_OVER) != 0)
		fault_warn(faults, s->at,
			   "it could not be tried whether %s may execute its handlers",
			   s->account->name);
	report_trial(c, text, faults);
}

/* A rule for a client that is neither the socket's owner nor root, where the mode keeps others out. */
static void warn_of_mode(const struct service *s, struct faults *faults)
{
	uid_t owner = s->socket_owner != (uid_t)-1 ? s->socket_owner : geteuid();
	gid_t group = s->socket_group != (gid_t)-1 ? s->socket_group : getegid();

	if (*s->socket == '@' || (s->socket_mode & 02) != 0)
		return;
	for (size_t i = 0; i < s->access.allow.count; i++) {
		const struct rule *r = &s->access.allow.rules[i];
		bool owned = r->kind == RULE_UID && r->low == r->high &&
			     (r->low == owner || r->low == 0);
		bool grouped =
			(s->socket_mode & 020) != 0 &&
			(r->kind == RULE_UID || (r->kind == RULE_GID && r->low == group));

		if (!owned && !grouped)
			fault_warn(faults, s->at,
				   "%s %s allows %s, but its mode %04o keeps it out",
				   s->handler != NULL ? "service" : "socket",
				   s->handler != NULL ? s->name : s->socket, r->text,
				   s->socket_mode);
	}
}

static void warn_of_shared_user(const struct config *c, size_t index,
				struct faults *faults)
{
	const struct service *s = &c->services[index], *other = NULL;
	size_t sharing = 0;

	for (size_t i = 0; i < index; i++) {
		if (!is_complete(&c->services[i]) ||
		    c->services[i].identity.uid != s->identity.uid)
			continue;
		other = &c->services[i];
		sharing++;
	}
	if (sharing == 1) /* reported once for a user, not for each pair */
		fault_warn(
			faults, s->at,
			"services %s and %s have the same user, %s: they can signal each "
			"other's processes",
			other->name, s->name, s->account->name);
}

void preflight_check(const struct config *c, struct faults *faults)
{
	bool root = geteuid() == 0;

	for (size_t i = 0; i < c->count; i++) {
		if (!is_complete(&c->services[i]))
			continue;
		if (root)
			check_owner(&c->services[i], faults);
		if (root && c->services[i].identity.uid != 0)
			warn_of_shared_user(c, i, faults);
		warn_of_mode(&c->services[i], faults);
	}
	if (c->control.socket != NULL)
		warn_of_mode(&c->control, faults);
	for (size_t i = 0; i < c->count; i++)
		if (is_complete(&c->services[i]))
			run_trial(c, i, faults);
}
