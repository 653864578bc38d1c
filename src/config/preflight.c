/*
 * preflight.c: checks, before anything is started, that services can run on this system.
 *
 * What depends on a user is tried by a child that has become this user, the way a worker
 * does: one child for all services with the same identity.
 */
#include "config/preflight.h"

#include "config/account.h"
#include "config/executable.h"
#include "config/hint.h"
#include "config/limits.h"
#include "config/pathwalk.h"
#include "common/privilege.h"
#include "config/service.h"
#include "config/standing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIAL_OVER "over\n"  /* the last line of a trial */
#define WORD_MAX (32 * 4096) /* bytes of an argument, the kernel's MAX_ARG_STRLEN */
#define WORDS_OWN 4096       /* bytes for what udsd itself adds to an environment */
#define TRIAL_MAX 65536      /* bytes of what a child finds wrong */

static void check_owner(struct service *s, struct faults *faults)
{
	const char *part = pathwalk_replaceable(s->handler[0], s->identity.uid);

	if (part == NULL)
		return;
	fault_problem(faults, &s->problem, PROBLEM_FAILED, "handler",
		      service_place(s, "handler"),
		      "handler %s: %s could be replaced by a user other than root and "
		      "%s: fix its owner and mode",
		      s->handler[0], part, s->account->name);
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

/* The PATH of its handlers. */
static const char *find_search(const struct service *s)
{
	for (char *const *text = s->environment; text != NULL && *text != NULL; text++)
		if (strncmp(*text, "PATH=", 5) == 0)
			return *text + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static void try_handler(int fd, size_t index, const struct service *s,
			const struct executable_head *head)
{
	const char *path = s->handler[0];
	char why[500];
	bool warning = executable_fault(path, head, find_search(s), why, sizeof(why));

	if (warning)
		dprintf(fd, "%zu !handler %s %s\n", index, path, why);
	else if (*why != '\0')
		dprintf(fd, "%zu handler %s cannot be executed by %s: %s%s\n", index,
			path, s->account->name, why,
			s->handler[1] == NULL ? hint_list(path) : "");
}

/* A file is made if it is not there. */
static void try_stderr(int fd, size_t index, const struct service *s)
{
	const char *path = s->stderr_target.path;
	char parent[PATH_MAX];
	struct stat st;
	int rc;

	if (s->stderr_target.kind != STDERR_FILE)
		return;
	rc = stat(path, &st);
	if (rc == 0 && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		rc = -1;
	} else if (rc == 0) {
		rc = access(path, W_OK);
	}
	if (rc < 0 && errno == ENOENT) {
		snprintf(parent, sizeof(parent), "%.*s/.",
			 (int)(strrchr(path, '/') - path), path);
		rc = access(parent, W_OK | X_OK);
	}
	if (rc < 0)
		dprintf(fd, "%zu stderr %s cannot be opened by %s: %s\n", index, path,
			s->account->name, strerror(errno));
}

static void try_service(int fd, size_t index, const struct service *s,
			const struct executable_head *head)
{
	int dir = open(s->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || fchdir(dir) < 0)
		dprintf(fd, "%zu directory %s cannot be entered by %s: %s\n", index,
			s->directory, s->account->name, strerror(errno));
	if (dir >= 0)
		close(dir);
	try_handler(fd, index, s, head);
	try_stderr(fd, index, s);
}

static bool is_in_trial(const struct trial *trial, size_t i)
{
	const struct config *c = trial->config;

	return is_complete(&c->services[i]) &&
	       identity_same(&c->services[trial->first].identity,
			     &c->services[i].identity);
}

/* What needs the rights of udsd itself, as it would be done for a worker. */
static void try_before(int fd, size_t index, const struct service *s)
{
	const char *limit = limits_raise(s);
	int nice = getpriority(PRIO_PROCESS, 0);

	if (limit != NULL)
		dprintf(fd, "%zu %s is higher than udsd may set: %s\n", index, limit,
			strerror(errno));
	if (s->nice < 0 && setpriority(PRIO_PROCESS, 0, nice + s->nice) < 0)
		dprintf(fd, "%zu nice %d is lower than udsd may set: %s\n", index,
			s->nice, strerror(errno));
	else if (s->nice < 0)
		(void)setpriority(PRIO_PROCESS, 0, nice);
}

static void try_with(int fd, const struct trial *trial, struct executable_head *heads)
{
	const struct config *c = trial->config;
	const struct service *first = &c->services[trial->first];
	struct failure f;

	for (size_t i = trial->first; i < c->count; i++) {
		if (!is_in_trial(trial, i))
			continue;
		try_before(fd, i, &c->services[i]);
		executable_read(c->services[i].handler[0], &heads[i]);
	}
	f = privilege_drop(&first->identity);
	if (failed(f) && (f.error == EAGAIN || f.error == ENOMEM))
		return; /* that says nothing of the user */
	if (failed(f))
		dprintf(fd, "%zu user %s cannot be used: %s: %s\n", trial->first,
			first->account->name, f.operation, strerror(f.error));
	for (size_t i = trial->first; !failed(f) && i < c->count; i++)
		if (is_in_trial(trial, i))
			try_service(fd, i, &c->services[i], &heads[i]);
	dprintf(fd, TRIAL_OVER);
}

static void try_as_user(int fd, const void *arg)
{
	const struct trial *trial = arg;
	struct executable_head *heads = calloc(trial->config->count, sizeof(*heads));

	if (heads != NULL)
		try_with(fd, trial, heads);
	free(heads);
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
		if (*what == '!') {
			fault_warn(faults, service_place(s, "handler"), "%s", what + 1);
			continue;
		}
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
	/* The user itself may have stopped or ended the child: no reason to refuse the
	 * others. */
	if (n < (ssize_t)strlen(TRIAL_OVER) ||
	    strcmp(text + n - strlen(TRIAL_OVER), TRIAL_OVER) != 0)
		fault_warn(faults, s->at,
			   "it could not be tried whether %s may execute its handlers",
			   s->account->name);
	report_trial(c, text, faults);
}

/* A rule for a client that is neither the socket's owner nor root, where the mode keeps
 * others out. */
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

/* An argument or variable, and all of them, as execve(2) takes them. */
static void check_words(struct service *s, const char *option, char *const *words,
			size_t *total, struct faults *faults)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
		size_t len = strlen(words[i]) + 1;

		*total += len + sizeof(char *);
		if (len > WORD_MAX)
			fault_add(faults, service_place(s, option),
				  "%s: text %zu of the list has %zu bytes, and a program "
				  "can be given %d in one",
				  option, i + 1, len - 1, WORD_MAX - 1);
	}
}

static void check_size(struct service *s, struct faults *faults)
{
	size_t total = 0;
	long most = sysconf(_SC_ARG_MAX) - WORDS_OWN;

	check_words(s, "handler", s->handler, &total, faults);
	check_words(s, "environment", s->environment, &total, faults);
	if (most > 0 && total > (size_t)most)
		fault_add(
			faults, service_place(s, "handler"),
			"handler: arguments and environment have %zu bytes together, and "
			"a program can be given %ld here",
			total, most);
}

static void warn_of_limits(const struct service *s, struct faults *faults)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		const char *warning = limits_warning(s, i);

		if (warning != NULL)
			fault_warn(faults, service_place(s, s->limits[i].name),
				   "%s = %llu: %s", s->limits[i].name,
				   (unsigned long long)s->limits[i].value, warning);
	}
}

/* Who may write to a socket may connect to it. */
static void warn_of_useless_mode(const struct service *s, struct faults *faults)
{
	const char *option = s->handler != NULL ? "socket-mode" : "control-mode";

	if (*s->socket != '@' && (s->socket_mode & 0222) == 0)
		fault_warn(
			faults, service_place(s, option),
			"%s %04o lets no one but root connect: that takes the right to "
			"write, as in 0660",
			option, s->socket_mode);
}

static bool is_own_group(gid_t group)
{
	gid_t groups[NGROUPS_MAX];
	int n = getgroups(NGROUPS_MAX, groups);

	for (int i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return group == getegid();
}

/* What an ordinary user's udsd cannot give away. */
static void check_ownership(const struct service *s, struct faults *faults)
{
	if (s->socket_owner != (uid_t)-1 && s->socket_owner != geteuid())
		fault_add(faults, service_place(s, "socket-owner"),
			  "socket-owner: only root can give a socket to another user");
	if (s->socket_group != (gid_t)-1 && !is_own_group(s->socket_group))
		fault_add(
			faults, service_place(s, "socket-group"),
			"socket-group: only root can give a socket to a group that it is "
			"not in");
}

/* What does not depend on the service's user. */
static void check_service(struct service *s, bool test, struct faults *faults)
{
	check_size(s, faults);
	if (geteuid() != 0)
		check_ownership(s, faults);
	warn_of_limits(s, faults);
	warn_of_useless_mode(s, faults);
	if (test)
		standing_check(s, faults);
}

void preflight_check(struct config *c, bool test, struct faults *faults)
{
	bool root = geteuid() == 0;

	for (size_t i = 0; i < c->count; i++) {
		if (!is_complete(&c->services[i]))
			continue;
		check_service(&c->services[i], test, faults);
		if (root)
			check_owner(&c->services[i], faults);
		if (root && c->services[i].identity.uid != 0)
			warn_of_shared_user(c, i, faults);
		warn_of_mode(&c->services[i], faults);
	}
	if (c->control.socket != NULL) {
		warn_of_mode(&c->control, faults);
		warn_of_useless_mode(&c->control, faults);
		if (test)
			standing_check(&c->control, faults);
	}
	for (size_t i = 0; i < c->count; i++)
		if (is_complete(&c->services[i]))
			run_trial(c, i, faults);
}
