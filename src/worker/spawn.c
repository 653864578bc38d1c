/*
 * spawn.c: the start of a handler: the worker's side and the child's.
 *
 * The child shares the worker's memory until it executes (CLONE_VM, a stack of its own):
 * this costs half of a fork. The worker does not wait for it but sees in `running` that
 * it has left the shared memory, so several starts may be under way, and a child that is
 * stopped by a process of the same uid delays no other. Invariant: the child makes raw
 * system calls only, and writes to `struct child` only.
 */
#include "worker/spawn.h"

#include "common/clock.h"
#include "common/linger.h"
#include "worker/environment.h"
#include "worker/rawcall.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES 16384
#define LISTEN_FD 3                     /* where sd_listen_fds(3) looks */
#define SERIAL_TIME (10 * NSEC_PER_SEC) /* for a child that stops all else */

/* The kernel clears `running`, and wakes the waiting worker, when the child executes or
 * exits. */
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
	const char *_Atomic operation; /* under way, or failed */
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

/* Whether a call succeeded; else its error is the child's. */
static bool child_ok(struct child *c, long result)
{
	if (result < 0)
		c->error = (int)-result;
	return result >= 0;
}

static bool child_put_fd(struct child *c, long fd, int at)
{
	return child_ok(c, RAW(dup3, fd, at, 0, 0));
}

static bool child_set_limits(struct child *c)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		const struct limit_setting *l = &c->service->limits[i];
		const struct rlimit64 value = {l->value, l->value};

		if (l->name == NULL)
			continue;
		c->operation = l->name;
		if (!child_ok(c, RAW(prlimit64, 0, i, &value, NULL)))
			return false;
	}
	return true;
}

/* Standard error is there already, unless it is the connection or a file of its own. */
static bool child_set_stderr(struct child *c)
{
	long fd = c->fd;

	c->operation = "stderr";
	if (c->service->stderr_target.kind == STDERR_FILE) {
		/* O_NONBLOCK: a fifo without a reader must not hold it up. */
		fd = RAW(openat, AT_FDCWD, c->service->stderr_target.path,
			 O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK |
				 O_CLOEXEC,
			 0666);
		if (!child_ok(c, fd) ||
		    !child_ok(c, RAW(fcntl, fd, F_SETFL, O_APPEND, 0)))
			return false;
	} else if (c->service->stderr_target.kind != STDERR_CLIENT) {
		return true;
	}
	return child_put_fd(c, fd, STDERR_FILENO);
}

static bool child_prepare(struct child *c)
{
	const uint64_t none = 0; /* the kernel's signal set */

	c->operation = "standard input and output";
	if (!child_put_fd(c, c->fd, STDIN_FILENO) ||
	    !child_put_fd(c, c->fd, STDOUT_FILENO) || !child_set_stderr(c) ||
	    !child_set_limits(c))
		return false;
	c->operation = "signal mask"; /* last */
	return child_ok(c, RAW(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none)));
}

/* Other clients' connections, too, so that their end of file does not depend on this
 * handler. With a timer (linger.h): descriptors may be pending in them, and closing those
 * may take long. */
static bool child_close_rest(struct child *c)
{
	const bool timer = RAW_CALLS && linger_is_needed();
	long result;

	c->operation = "descriptors";
	if (timer)
		(void)RAW(setitimer, ITIMER_REAL, &linger_on, NULL, 0);
	result = RAW(close_range, STDERR_FILENO + 1, ~0U, 0, 0);
	if (timer)
		(void)RAW(setitimer, ITIMER_REAL, &linger_off, NULL, 0);
	return child_ok(c, result);
}

/* Returns only if it fails. */
static void child_execute(struct child *c)
{
	char *const *argv = c->service->handler;

	c->operation = "execute";
	(void)child_ok(c, RAW(execve, argv[0], argv, c->env, 0));
}

__attribute__((no_sanitize("address"))) static int child_main(void *arg)
{
	struct child *c = arg;

	c->operation = "process group";
	if (child_ok(c, RAW(setpgid, 0, 0, 0, 0)) && child_prepare(c) &&
	    child_close_rest(c))
		child_execute(c);
	_exit(127);
}

/* Where libc makes the child's calls its errno is the worker's: nothing else may be done
 * meanwhile. */
static void spawn_stand_by(struct spawn *h, pid_t pid)
{
	if (spawn_await(h, SERIAL_TIME))
		return;
	spawn_give_up(h, pid);
	while (!spawn_await(h, SERIAL_TIME))
		;
}

int spawn_start(struct spawn *h, _Atomic int32_t *pid)
{
	struct child *c = &h->child;
	pid_t child;

	c->error = 0;
	c->operation = "start a process";
	c->running = 1;
	child = clone(child_main, h->stack + STACK_BYTES, FLAGS, c,
		      (pid_t *)(uintptr_t)pid, NULL, (pid_t *)(uintptr_t)&c->running);
	if (child < 0 || (FLAGS & CLONE_VFORK) != 0)
		c->running = 0;
	if (child > 0 && !RAW_CALLS)
		spawn_stand_by(h, child);
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

struct failure spawn_failure(const struct spawn *h)
{
	int error = h->child.error;

	return error != 0 ? failure_of(h->child.operation, error) : SUCCESS;
}

void spawn_give_up(struct spawn *h, pid_t pid)
{
	int none = 0;

	if (h->child.running == 0)
		return;
	(void)atomic_compare_exchange_strong(&h->child.error, &none, ETIME);
	(void)kill(pid, SIGKILL);
}

struct failure spawn_execute(const struct service *s, int listener)
{
	struct child c = {.service = s, .fd = listener, .env = environment_for_wait(s)};

	if (c.env == NULL)
		return failure_of("memory", ENOMEM);
	if (child_prepare(&c)) {
		c.operation = "listening socket";
		if (child_put_fd(&c, STDIN_FILENO, LISTEN_FD))
			child_execute(&c);
	}
	return failure_of(c.operation, c.error);
}

bool spawn_is_busy(int error)
{
	return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
	       error == ETXTBSY || error == ENOBUFS;
}
