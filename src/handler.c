/*
 * handler.c: argv, environment, and the child's half of the spawn.
 *
 * The child shares our memory until it executes (CLONE_VM|CLONE_VFORK, a stack of its own): this
 * costs half of a fork. It may only make system calls and write to `struct child`. It has our uid,
 * so anybody with this uid can stop it and thereby us: after SPAWN_TIMEOUT a timer kills us, and
 * the supervisor starts the next worker.
 */
#include "handler.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SPAWN_TIMEOUT 10        /* seconds */
#define WATCH_TIME NSEC_PER_SEC /* for which the watchdog is left as it was set */
#define STACK_BYTES 65536
#define FIXED 11        /* variables of every service */
#define LISTEN_FD 3     /* where sd_listen_fds(3) looks */
#define VALUE_BYTES 320 /* of a variable that changes */

/* The variables that differ from connection to connection. */
enum variable { PEER_UID, PEER_GID, PEER_PID, CONNECTION, RULE, PEER_PATH, VARIABLES };

static const char *const prefixes[VARIABLES] = {
	"UNIXREMOTEEUID=",  "UNIXREMOTEEGID=", "UNIXREMOTEPID=",
	"UDSD_CONNECTION=", "UDSD_RULE=",      "UNIXREMOTEPATH=",
};

struct handler {
	const struct service *service;
	char **env;       /* fixed part, then the variables, then NULL */
	int watchdog;     /* the kernel's number of a timer */
	int64_t watched;  /* when it was set, 0: it is not */
	char **peer_path; /* the entry of PEER_PATH, NULL where there is none */
	char value[VARIABLES][VALUE_BYTES];
	alignas(16) char stack[STACK_BYTES];
};

/* What parent and child share. */
struct child {
	const struct service *service;
	int fd;
	char *const *env;
	int error;
	const char *step;
};

/* Adds a copy of NAME=value behind the *n entries there are, unless one has the name: the first
 * one wins. */
static bool add_pair(char **env, size_t *n, const char *name, size_t len,
		     const char *value)
{
	for (size_t i = 0; i < *n; i++)
		if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
			return true;
	if (asprintf(&env[*n], "%.*s=%s", (int)len, name, value) < 0) {
		env[*n] = NULL;
		return false;
	}
	(*n)++;
	return true;
}

/* What the service sets itself. */
static bool add_own(const struct service *s, char **env, size_t *n)
{
	for (size_t i = 0; s->environment != NULL && s->environment[i] != NULL; i++) {
		const char *pair = s->environment[i];
		size_t len = strcspn(pair, "=");

		if (!add_pair(env, n, pair, len, pair + len + 1))
			return false;
	}
	return true;
}

/* What is the same for all connections. */
static bool add_fixed(const struct service *s, char **env, size_t *n)
{
	char uid[16], gid[16], pid[16];
	const char *const fixed[FIXED][2] = {
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"HOME", s->account->home},
		{"USER", s->account->name},
		{"LOGNAME", s->account->name},
		{"SHELL", s->account->shell},
		{"PROTO", "UNIX"},
		{"UNIXLOCALPATH", s->socket},
		{"UNIXLOCALUID", uid},
		{"UNIXLOCALGID", gid},
		{"UNIXLOCALPID", pid},
		{"UDSD_SERVICE", s->name},
	};

	snprintf(uid, sizeof(uid), "%u", geteuid());
	snprintf(gid, sizeof(gid), "%u", getegid());
	snprintf(pid, sizeof(pid), "%d", getpid());
	for (size_t i = 0; i < FIXED; i++)
		if (!add_pair(env, n, fixed[i][0], strlen(fixed[i][0]), fixed[i][1]))
			return false;
	return true;
}

/* What does not change, with room for `more` entries and NULL; *n is their number. */
static bool build_fixed(struct handler *h, size_t more, size_t *n)
{
	const struct service *s = h->service;
	size_t own = 0;

	while (s->environment != NULL && s->environment[own] != NULL)
		own++;
	h->env = calloc(own + FIXED + more + 1, sizeof(*h->env));
	return h->env != NULL && add_own(s, h->env, n) && add_fixed(s, h->env, n);
}

static bool build_environment(struct handler *h)
{
	size_t n = 0;

	if (!build_fixed(h, VARIABLES, &n))
		return false;
	for (int i = 0; i < VARIABLES; i++) {
		strcpy(h->value[i], prefixes[i]);
		h->env[n++] = h->value[i];
	}
	h->peer_path = &h->env[n - 1];
	return true;
}

/* Starts the watchdog, or ends it with 0 seconds. A SIGKILL ends also the wait for a child. */
static void set_watchdog(const struct handler *h, int seconds)
{
	const struct itimerspec when = {.it_value = {.tv_sec = seconds}};

	(void)syscall(SYS_timer_settime, h->watchdog, 0, &when, NULL);
}

/* Sets it for one more start, unless it has been set a moment ago. */
static void watch(struct handler *h)
{
	int64_t now = clock_now();

	if (h->watched != 0 && now < h->watched + WATCH_TIME)
		return;
	set_watchdog(h, SPAWN_TIMEOUT);
	h->watched = now;
}

int64_t handler_rest(struct handler *h, int64_t now)
{
	if (h->watched != 0 && now >= h->watched + WATCH_TIME) {
		set_watchdog(h, 0);
		h->watched = 0;
	}
	return h->watched != 0 ? h->watched + WATCH_TIME : CLOCK_NEVER;
}

static int make_watchdog(struct handler *h)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};

	return (int)syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &h->watchdog);
}

struct handler *handler_new(const struct service *service)
{
	struct handler *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->service = service;
	if (make_watchdog(h) < 0 || !build_environment(h)) {
		handler_free(h);
		return NULL;
	}
	return h;
}

void handler_free(struct handler *h)
{
	if (h == NULL)
		return;
	set_watchdog(h, 0);
	for (size_t i = 0; h->env != NULL && h->env[i] != NULL; i++)
		if (h->env[i] < (char *)h || h->env[i] >= (char *)(h + 1))
			free(h->env[i]);
	free(h->env);
	free(h);
}

static void put_number(struct handler *h, enum variable v, uint64_t n)
{
	char digits[20], *to = h->value[v] + strlen(prefixes[v]);
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	memcpy(to, digits + at, sizeof(digits) - at);
	to[sizeof(digits) - at] = '\0';
}

static void put_text(struct handler *h, enum variable v, const char *text, size_t len)
{
	size_t at = strlen(prefixes[v]);

	if (len > VALUE_BYTES - 1 - at)
		len = VALUE_BYTES - 1 - at;
	memcpy(h->value[v] + at, text, len);
	h->value[v][at + len] = '\0';
}

/* Where the peer is bound, if it is; an abstract name gets an @. Nothing with a control character
 * is passed on. */
static bool put_peer_path(struct handler *h, const struct sockaddr_un *from,
			  socklen_t from_len)
{
	size_t at = offsetof(struct sockaddr_un, sun_path);
	size_t len = from_len > at ? (size_t)from_len - at : 0;
	char path[sizeof(from->sun_path)];

	if (len == 0)
		return false;
	if (len > sizeof(path)) /* a path that fills it all is told with a byte more */
		len = sizeof(path);
	memcpy(path, from->sun_path, len);
	if (path[0] == '\0')
		path[0] = '@';
	else
		len = strnlen(path, len);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
			return false;
	put_text(h, PEER_PATH, path, len);
	return true;
}

char *const *handler_environment(struct handler *h, const struct handler_call *call)
{
	put_number(h, PEER_UID, call->peer->uid);
	put_number(h, PEER_GID, call->peer->gid);
	put_number(h, PEER_PID, (uint64_t)call->peer->pid);
	put_number(h, CONNECTION, call->conn);
	put_text(h, RULE, call->rule, strlen(call->rule));
	*h->peer_path =
		put_peer_path(h, call->from, call->from_len) ? h->value[PEER_PATH] : NULL;
	return h->env;
}

static int set_limits(struct child *c)
{
	for (size_t i = 0; i < LIMIT_SETTINGS && c->service->limits[i].name != NULL;
	     i++) {
		const struct limit_setting *l = &c->service->limits[i];
		const struct rlimit value = {l->value, l->value};

		c->step = l->name;
		if (setrlimit((__rlimit_resource_t)l->resource, &value) < 0)
			return -1;
	}
	return 0;
}

/* Standard error is there already, unless it is the connection or a file of its own. */
static int set_stderr(struct child *c)
{
	int fd, rc;

	c->step = "stderr";
	if (c->service->stderr_kind == STDERR_CLIENT)
		return dup2(c->fd, STDERR_FILENO);
	if (c->service->stderr_kind != STDERR_FILE)
		return 0;
	/* O_NONBLOCK: a fifo without a reader must not hold us up. */
	fd = open(c->service->stderr_path,
		  O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC,
		  0666);
	if (fd < 0)
		return -1;
	rc = fcntl(fd, F_SETFL, O_APPEND);
	if (rc == 0)
		rc = dup2(fd, STDERR_FILENO);
	return rc;
}

static int child_prepare(struct child *c)
{
	const uint64_t none = 0; /* the kernel's signal set */

	c->step = "standard input and output";
	if (dup2(c->fd, STDIN_FILENO) < 0 || dup2(c->fd, STDOUT_FILENO) < 0)
		return -1;
	if (set_stderr(c) < 0 || set_limits(c) < 0)
		return -1;
	c->step =
		"signal mask"; /* last; and glibc would leave its own two signals as they are */
	return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

__attribute__((no_sanitize("address"))) static int child_main(void *arg)
{
	struct child *c = arg;

	c->step = "process group";
	if (setpgid(0, 0) == 0 && child_prepare(c) == 0) {
		c->step = "execute";
		execve(c->service->handler[0], c->service->handler, c->env);
	}
	c->error = errno;
	_exit(127);
}

int handler_spawn(struct handler *h, const struct handler_call *call, const char **step)
{
	/* volatile: written by the child behind the compiler's back */
	volatile struct child shared = {
		.service = h->service,
		.fd = call->fd,
		.env = handler_environment(h, call),
		.step = "start a process",
	};
	const int flags = CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD;
	int saved;
	pid_t pid;

	watch(h);
	pid = clone(child_main, h->stack + STACK_BYTES, flags, (void *)(uintptr_t)&shared,
		    (pid_t *)(uintptr_t)call->pid, NULL, NULL);
	saved = pid < 0 ? errno : shared.error;
	*step = shared.step;
	if (pid >= 0 && saved == 0)
		return 0;
	while (pid >= 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = saved;
	return -1;
}

int handler_become(const struct service *s, int listener, const char **step)
{
	struct handler h = {.service = s};
	struct child c = {.service = s, .fd = listener, .step = "memory"};
	char pid[32], names[80];
	size_t n = 0;
	int rc = -1;

	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(names, sizeof(names), "%s", s->name);
	if (build_fixed(&h, 3, &n) && add_pair(h.env, &n, "LISTEN_FDS", 10, "1") &&
	    add_pair(h.env, &n, "LISTEN_PID", 10, pid) &&
	    add_pair(h.env, &n, "LISTEN_FDNAMES", 14, names))
		rc = child_prepare(&c);
	if (rc == 0) {
		c.step = "listening socket";
		rc = dup2(STDIN_FILENO, LISTEN_FD) < 0 ? -1 : 0;
	}
	if (rc == 0) {
		c.step = "execute";
		execve(s->handler[0], s->handler, h.env);
	}
	*step = c.step;
	free(h.env); /* its strings go with the process */
	return -1;
}

bool handler_is_busy(int error)
{
	return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
	       error == ETXTBSY || error == ENOBUFS;
}
