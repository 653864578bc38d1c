/*
 * unit.c: one service's socket and worker, seen from the supervisor: what is watched, how a worker
 * begins and how it ends.
 */
#include "unit.h"

#include "clock.h"
#include "inetd.h"
#include "log.h"
#include "relay.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_RETRY (100 * NSEC_PER_MSEC)

static void watch(const struct shared *shared, struct watch *w, int fd, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};

	if (w->on == on || fd < 0)
		return;
	if (epoll_ctl(shared->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event) == 0)
		w->on = on;
	else if (on) /* it is tried again */
		backoff_busy(&w->unit->backoff, failure("watch"), clock_now());
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_stderr(struct unit *u, const struct shared *shared)
{
	watch(shared, &u->on_stderr, u->stderr_out, false);
	close_fd(&u->stderr_in);
	close_fd(&u->stderr_out);
}

/* Whether a handler has shut down what all of them have as standard error. We hold both ends, so
 * nothing else hangs it up. */
static bool is_shut_down(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLRDHUP)) != 0;
}

struct unit *unit_new(struct loaded *loaded, const struct service *service)
{
	struct unit *u = malloc(sizeof(*u));

	if (u == NULL)
		return NULL;
	*u = (struct unit){
		.loaded = loaded_hold(loaded),
		.service = service,
		.enabled = service->enabled,
		.listener = {.fd = -1, .wd = -1, .dir_wd = -1},
		.log = {.in = -1, .out = -1},
		.stderr_in = -1,
		.stderr_out = -1,
		.channel = -1,
		.kill_at = CLOCK_NEVER,
		.answer_due = CLOCK_NEVER,
		.adopt_due = CLOCK_NEVER,
		.retire_until = CLOCK_NEVER,
		.on_listener = {.kind = WATCH_LISTENER, .unit = u},
		.on_stderr = {.kind = WATCH_STDERR, .unit = u},
		.on_channel = {.kind = WATCH_CHANNEL, .unit = u},
	};
	backoff_init(&u->backoff, service->name);
	return u;
}

void unit_free(struct unit *u, const struct shared *shared)
{
	unit_unwatch(u, shared);
	listener_close(&u->listener);
	close_stderr(u, shared);
	log_channel_close(&u->log);
	board_release(u->board);
	if (u->loaded == NULL)
		free((void *)(uintptr_t)u->service);
	loaded_release(u->loaded);
	free(u);
}

void unit_unwatch(struct unit *u, const struct shared *shared)
{
	watch(shared, &u->on_listener, u->listener.fd, false);
	watch(shared, &u->on_stderr, u->stderr_out, false);
	watch(shared, &u->on_channel, u->channel, false);
}

bool unit_is_control(const struct unit *u)
{
	return u->service->handler == NULL;
}

/* Whether a client is a reason to start a worker, now or later. */
static bool wants_clients(const struct unit *u)
{
	return u->listener.fd >= 0 && u->worker == 0 && !u->former && !u->retiring &&
	       u->awaits == 0 && !u->shut;
}

/* Whether a line on handlers' standard error is one. */
static bool wants_lines(const struct unit *u)
{
	return u->stderr_out >= 0 && u->worker == 0 && (u->former || !u->retiring) &&
	       u->awaits == 0;
}

void unit_watch(struct unit *u, const struct shared *shared, int64_t now)
{
	bool may_start = now >= u->backoff.until;

	watch(shared, &u->on_listener, u->listener.fd, may_start && wants_clients(u));
	watch(shared, &u->on_stderr, u->stderr_out, may_start && wants_lines(u));
	watch(shared, &u->on_channel, u->channel, u->channel >= 0);
}

/* What a service's workers share, made with the first of them. */
static int equip(struct unit *u, const struct shared *shared)
{
	if (u->board == NULL)
		u->board = board_new();
	if (u->board == NULL)
		return -1;
	if (u->log.in < 0 && log_channel_open(&u->log) < 0)
		return -1;
	logger_add(&shared->orders, &u->log); /* if that is full now: unit_tick() */
	if (u->service->stderr_target.kind == STDERR_SYSLOG && u->stderr_out < 0 &&
	    !u->former && stderr_pair(&u->stderr_in, &u->stderr_out) < 0)
		return -1;
	return 0;
}

static int spawn(struct unit *u, const struct shared *shared)
{
	struct worker_start start = {.service = u->service, .nofile = shared->nofile};
	int pair[2];

	if (u->listener.fd >= 0 &&
	    fcntl(u->listener.fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) <
	    0)
		return -1;
	start.board = u->board->map;
	start.listener = u->listener.fd;
	start.channel = pair[1];
	start.log = u->log.in;
	start.stderr_in = u->stderr_in;
	start.stderr_out = u->stderr_out;
	if (u->retiring) /* it is here for those who are queued */
		start.order.order = u->order;
	u->worker = fork();
	if (u->worker == 0)
		worker_run(&start);
	close(pair[1]);
	if (u->worker < 0) {
		u->worker = 0;
		close(pair[0]);
		return -1;
	}
	u->channel = pair[0];
	return 0;
}

/* A retiring unit's handler serves nobody any more: who is queued is a worker's affair. */
static int start_any(struct unit *u, const struct shared *shared)
{
	u->inetd = false;
	u->ended = false;
	if (equip(u, shared) < 0)
		return -1;
	if (!u->service->wait || u->retiring || u->former)
		return spawn(u, shared);
	u->worker =
		waitmode_start(u->service, u->listener.fd, u->log.in, &shared->nofile);
	if (u->worker < 0) {
		u->worker = 0;
		return -1;
	}
	u->inetd = true;
	u->uid = u->service->identity.uid;
	u->gid = u->service->identity.gid;
	return 0;
}

void unit_start(struct unit *u, const struct shared *shared, int64_t now)
{
	struct log_line line;

	u->started = now;
	if (start_any(u, shared) < 0) {
		backoff_busy(&u->backoff, failure("worker"), now);
	} else {
		log_begin(&line, u->inetd ? LOG_INFO : LOG_DEBUG,
			  u->inetd ? "handler" : "worker");
		log_str(&line, "service", u->service->name);
		log_num(&line, "pid", u->worker);
		log_str(&line, "status", "started");
		log_end(&line);
	}
	unit_watch(u, shared, now);
}

void unit_event(struct unit *u, const struct shared *shared, const struct watch *w,
		int64_t now)
{
	struct pollfd p = {.fd = u->listener.fd};
	char byte;

	if (u->worker != 0)
		return;
	if (w == &u->on_listener && poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0) {
		backoff_failed(&u->backoff, u->service->socket, 0,
			       failure_of("accept", EINVAL), now);
		u->shut = true;
		unit_watch(u, shared, now);
	} else if (w == &u->on_stderr && u->former &&
		   recv(u->stderr_out, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
		close_stderr(u, shared); /* nobody can write to it any more */
	} else {
		unit_start(u, shared, now);
	}
}

void unit_answer(struct unit *u, const struct shared *shared, int64_t now)
{
	char answer;
	ssize_t n = recv(u->channel, &answer, 1, MSG_DONTWAIT);

	if (n == 1 && answer == WORKER_DRAINED) {
		u->answer_due = CLOCK_NEVER;
		unit_drained(u, shared, now);
	} else if (n == 1 && answer == WORKER_SHUT) {
		backoff_extend(&u->backoff, now);
		u->shut = true;
	} else if (n >= 0 || (errno != EAGAIN && errno != EINTR && errno != ENOMEM)) {
		/* the worker has closed it: SIGCHLD tells more */
		watch(shared, &u->on_channel, u->channel, false);
	}
}

/* The status in words, as in a close line. */
static void log_ended(const struct unit *u, int status, const struct rusage *usage,
		      int64_t now)
{
	struct log_line line;
	bool normal = WIFEXITED(status) && WEXITSTATUS(status) != WORKER_FAILED;
	int level = normal ? LOG_DEBUG : LOG_WARNING;

	log_begin(&line, u->inetd ? LOG_INFO : level, u->inetd ? "handler" : "worker");
	log_str(&line, "service", u->service->name);
	log_num(&line, "pid", u->worker);
	log_status(&line, status);
	if (u->inetd)
		log_usage(&line, now - u->started, usage);
	if (u->backoff.delay > 0)
		log_sec(&line, "retry", u->backoff.delay);
	log_end(&line);
}

/* A handler that ends badly as soon as it has begun is not started again at once, and no other more
 * often than is useful. */
static void pace_inetd(struct unit *u, int status, int64_t now)
{
	bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;

	if (failed && !u->ended && now - u->started < WAITMODE_BRIEF)
		backoff_extend(&u->backoff, now);
	else
		backoff_over(&u->backoff);
	if (u->backoff.until < u->started + WAITMODE_PACE)
		u->backoff.until = u->started + WAITMODE_PACE;
}

static void pace_worker(struct unit *u, int status, int64_t now)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	if (code > WORKER_FAILED)
		backoff_busy(&u->backoff, failure_of("worker", code), now);
	else if (code == WORKER_FAILED)
		backoff_extend(&u->backoff, now);
	else if (!u->shut)
		backoff_over(&u->backoff);
}

void unit_worker_ended(struct unit *u, const struct shared *shared, int status,
		       const struct rusage *usage, int64_t now)
{
	if (u->inetd)
		pace_inetd(u, status, now);
	else
		pace_worker(u, status, now);
	log_ended(u, status, usage, now);
	/* epoll would keep an entry that a child, forked just now, still has open */
	watch(shared, &u->on_channel, u->channel, false);
	close_fd(&u->channel);
	u->worker = 0;
	u->inetd = false;
	u->answer_due = u->kill_at = CLOCK_NEVER;
	if (u->stderr_out >= 0 && u->stderr_in >= 0 && is_shut_down(u->stderr_out))
		close_stderr(u, shared); /* the next worker gets a new one */
	unit_let_heir_start(u, shared, now);
}

int64_t unit_due(const struct unit *u)
{
	int64_t due = clock_min(u->answer_due, u->retire_until);

	due = clock_min(due, clock_min(u->kill_at, u->adopt_due));
	if ((wants_clients(u) && !u->on_listener.on) ||
	    (wants_lines(u) && !u->on_stderr.on))
		due = clock_min(due, u->backoff.until);
	return u->log.in >= 0 && !u->log.known ? clock_min(due, u->log_due) : due;
}

void unit_tick(struct unit *u, const struct shared *shared, int64_t now)
{
	if (now >= u->answer_due && u->worker > 0) {
		u->answer_due = CLOCK_NEVER;
		(void)kill(u->worker, SIGKILL);
	}
	if (now >= u->kill_at)
		unit_order(u, WORKER_KILL, now);
	if (now >= u->retire_until)
		unit_drained(u, shared, now);
	if (u->log.in >= 0 && !u->log.known && now >= u->log_due) {
		logger_add(&shared->orders, &u->log);
		u->log_due = now + LOG_RETRY;
	}
	unit_watch(u, shared, now);
}
