/*
 * handler.c: the start of a handler, seen from both sides.
 *
 * The child shares our memory until it executes (CLONE_VM, a stack of its own): this costs half of a
 * fork. We do not wait for it but see in `running` that it has left our memory, so several may be
 * under way, and one that somebody with our uid stops holds nobody else up. It may only make raw
 * system calls and write to `struct child`.
 */
#include "handler.h"

#include "clock.h"
#include "environment.h"
#include "hurry.h"
#include "raw.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES 16384
#define LISTEN_FD 3                    /* where sd_listen_fds(3) looks */
#define ALONE_TIME (10 * NSEC_PER_SEC) /* for a child that nothing can be done beside */

/* The kernel clears `running`, and wakes who waits there, when the child executes or exits. */
#ifdef UDSD_VFORK
# define FLAGS (CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD)
#else
# define FLAGS (CLONE_VM | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID | SIGCHLD)
#endif

/* What parent and child share. */
struct child {
	const struct service *service;
	int fd;
	char *const *env;
	_Atomic int32_t running; /* a futex */
	_Atomic int error;
	const char *_Atomic step;
};

struct spawn {
	struct environment *environment;
	struct child child;
	alignas(16) char stack[STACK_BYTES];
};

bool spawn_is_concurrent(void)
{
	return RAW_CALLS;
}

struct spawn *spawn_new(const struct service *service)
{
	struct spawn *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->child.service = service;
	h->environment = environment_new(service);
	if (h->environment != NULL)
		return h;
	free(h);
	return NULL;
}

void spawn_free(struct spawn *h)
{
	if (h == NULL)
		return;
	environment_free(h->environment);
	free(h);
}

void spawn_prepare(struct spawn *h, int fd, const struct environment_call *call)
{
	h->child.fd = fd;
	h->child.env = environment_of(h->environment, call);
}

/* 0, or -1 and the child's error. */
static int check(struct child *c, long result)
{
	if (result >= 0)
		return 0;
	c->error = (int)-result;
	return -1;
}

static int put_fd(struct child *c, long fd, int at)
{
	return check(c, RAW(dup3, fd, at, 0, 0));
}

static int set_limits(struct child *c)
{
	for (size_t i = 0; i < LIMIT_SETTINGS && c->service->limits[i].name != NULL;
	     i++) {
		const struct limit_setting *l = &c->service->limits[i];
		const struct rlimit64 value = {l->value, l->value};

		c->step = l->name;
		if (check(c, RAW(prlimit64, 0, l->resource, &value, NULL)) < 0)
			return -1;
	}
	return 0;
}

/* Standard error is there already, unless it is the connection or a file of its own. */
static int set_stderr(struct child *c)
{
	long fd;

	c->step = "stderr";
	if (c->service->stderr_kind == STDERR_CLIENT)
		return put_fd(c, c->fd, STDERR_FILENO);
	if (c->service->stderr_kind != STDERR_FILE)
		return 0;
	/* O_NONBLOCK: a fifo without a reader must not hold it up. */
	fd = RAW(openat, AT_FDCWD, c->service->stderr_path,
		 O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0666);
	if (check(c, fd) < 0 || check(c, RAW(fcntl, fd, F_SETFL, O_APPEND, 0)) < 0)
		return -1;
	return put_fd(c, fd, STDERR_FILENO);
}

static int child_prepare(struct child *c)
{
	const uint64_t none = 0; /* the kernel's signal set */

	c->step = "standard input and output";
	if (put_fd(c, c->fd, STDIN_FILENO) < 0 || put_fd(c, c->fd, STDOUT_FILENO) < 0)
		return -1;
	if (set_stderr(c) < 0 || set_limits(c) < 0)
		return -1;
	c->step = "signal mask"; /* last */
	return check(c, RAW(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none)));
}

/* Other clients' connections, too: they are not to wait for this one to see their end of file, nor this
 * one for what they sent along. */
static int close_rest(struct child *c)
{
	const bool hurry = RAW_CALLS && linger_is_needed();
	long result;

	c->step = "descriptors";
	if (hurry)
		(void)RAW(setitimer, ITIMER_REAL, &linger_on, NULL, 0);
	result = RAW(close_range, STDERR_FILENO + 1, ~0U, 0, 0);
	if (hurry)
		(void)RAW(setitimer, ITIMER_REAL, &linger_off, NULL, 0);
	return check(c, result);
}

/* Returns only if it fails. */
static void child_execute(struct child *c)
{
	c->step = "execute";
	(void)check(c,
		    RAW(execve, c->service->handler[0], c->service->handler, c->env, 0));
}

__attribute__((no_sanitize("address"))) static int child_main(void *arg)
{
	struct child *c = arg;

	c->step = "process group";
	if (check(c, RAW(setpgid, 0, 0, 0, 0)) == 0 && child_prepare(c) == 0 &&
	    close_rest(c) == 0)
		child_execute(c);
	_exit(127);
}

/* Where libc makes the child's calls its errno is ours. */
static void stand_aside(struct spawn *h, pid_t pid)
{
	if (spawn_await(h, ALONE_TIME))
		return;
	spawn_give_up(h, pid);
	while (!spawn_await(h, ALONE_TIME))
		;
}

int spawn_start(struct spawn *h, _Atomic int32_t *pid)
{
	struct child *c = &h->child;
	pid_t child;

	c->error = 0;
	c->step = "start a process";
	c->running = 1;
	child = clone(child_main, h->stack + STACK_BYTES, FLAGS, c,
		      (pid_t *)(uintptr_t)pid, NULL, (pid_t *)(uintptr_t)&c->running);
	if (child < 0 || (FLAGS & CLONE_VFORK) != 0)
		c->running = 0;
	if (child > 0 && !RAW_CALLS)
		stand_aside(h, child);
	return child < 0 ? -1 : 0;
}

bool spawn_await(struct spawn *h, int64_t nsec)
{
	const struct timespec time = {nsec / NSEC_PER_SEC, nsec % NSEC_PER_SEC};

	if (h->child.running != 0)
		(void)syscall(SYS_futex, &h->child.running, FUTEX_WAIT, 1, &time);
	return h->child.running == 0;
}

bool spawn_is_settled(const struct spawn *h)
{
	return h->child.running == 0;
}

int spawn_error(const struct spawn *h, const char **step)
{
	*step = h->child.step;
	return h->child.error;
}

void spawn_give_up(struct spawn *h, pid_t pid)
{
	int none = 0;

	if (h->child.running == 0)
		return;
	(void)atomic_compare_exchange_strong(&h->child.error, &none, ETIME);
	(void)kill(pid, SIGKILL);
}

int spawn_execute(const struct service *s, int listener, const char **step)
{
	struct child c = {
		.service = s, .fd = listener, .step = "memory", .error = ENOMEM};
	char **env = environment_for_wait(s);

	c.env = env;
	if (env != NULL && child_prepare(&c) == 0) {
		c.step = "listening socket";
		if (put_fd(&c, STDIN_FILENO, LISTEN_FD) == 0)
			child_execute(&c);
	}
	free(env); /* its strings go with the process */
	*step = c.step;
	errno = c.error;
	return -1;
}

bool spawn_is_busy(int error)
{
	return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
	       error == ETXTBSY || error == ENOBUFS;
}
