/*
 * unit.c: one service's socket and worker, seen from the supervisor.
 */
#include "unit.h"

#include "clock.h"
#include "log.h"
#include "relay.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_TIME NSEC_PER_SEC
#define RETIRE_TIME NSEC_PER_SEC
#define LOG_RETRY (100 * NSEC_PER_MSEC)

void unit_init(struct unit *u, const struct service *service)
{
	*u = (struct unit){
		.service = service,
		.listener.fd = -1,
		.board_fd = -1,
		.log = {.in = -1, .out = -1},
		.stderr_in = -1,
		.stderr_out = -1,
		.channel = -1,
		.answer_due = CLOCK_NEVER,
		.retire_until = CLOCK_NEVER,
		.on_listener = {.kind = WATCH_LISTENER, .unit = u},
		.on_stderr = {.kind = WATCH_STDERR, .unit = u},
		.on_channel = {.kind = WATCH_CHANNEL, .unit = u},
	};
	overload_init(&u->overload, service->name);
}

static void watch(const struct shared *shared, struct watch *w, int fd, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};

	if (w->on == on || fd < 0)
		return;
	if (epoll_ctl(shared->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event) == 0)
		w->on = on;
	else if (on) /* it is tried again */
		overload_busy(&w->unit->overload, "watch", errno, clock_now());
}

void unit_watch(struct unit *u, const struct shared *shared, int64_t now)
{
	bool idle = u->worker == 0 && !u->retiring && now >= overload_until(&u->overload);

	watch(shared, &u->on_listener, u->listener.fd, idle);
	watch(shared, &u->on_stderr, u->stderr_out, idle);
	watch(shared, &u->on_channel, u->channel, u->channel >= 0);
}

/* Whether a handler has shut down what all of them have as standard error. We hold both ends, so
 * nothing else hangs it up. */
static bool is_shut_down(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLRDHUP)) != 0;
}

static void close_stderr(struct unit *u, const struct shared *shared)
{
	watch(shared, &u->on_stderr, u->stderr_out, false);
	close(u->stderr_in);
	close(u->stderr_out);
	u->stderr_in = u->stderr_out = -1;
}

/* What a service's workers share, made with the first of them. */
static int equip(struct unit *u, const struct shared *shared)
{
	if (u->board == NULL)
		u->board = scoreboard_create(&u->board_fd);
	if (u->board == NULL)
		return -1;
	if (u->log.in < 0 && log_channel_open(&u->log) < 0)
		return -1;
	logger_add(&shared->log, &u->log); /* if that is full now: unit_tick() */
	if (u->service->stderr_kind == STDERR_SYSLOG && u->stderr_out < 0 &&
	    relay_pair(&u->stderr_in, &u->stderr_out) < 0)
		return -1;
	return 0;
}

static int spawn(struct unit *u, const struct shared *shared)
{
	struct worker_start start = {.service = u->service, .nofile = shared->nofile};
	int pair[2];

	if (equip(u, shared) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) <
		    0)
		return -1;
	start.board = u->board;
	start.listener = u->listener.fd;
	start.channel = pair[1];
	start.log = u->log.in;
	start.stderr_in = u->stderr_in;
	start.stderr_out = u->stderr_out;
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

void unit_start(struct unit *u, const struct shared *shared, int64_t now)
{
	struct log_line line;

	if (spawn(u, shared) < 0) {
		overload_busy(&u->overload, "worker", errno, now);
	} else {
		log_begin(&line, LOG_DEBUG, "worker");
		log_str(&line, "service", u->service->name);
		log_num(&line, "pid", u->worker);
		log_str(&line, "status", "started");
		log_end(&line);
	}
	unit_watch(u, shared, now);
}

void unit_order(struct unit *u, char order, int64_t now)
{
	if (u->channel < 0)
		return;
	(void)send(u->channel, &order, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (order == WORKER_DRAIN || order == WORKER_REFUSE)
		u->answer_due = now + ANSWER_TIME;
}

static void close_listener(struct unit *u, const struct shared *shared)
{
	watch(shared, &u->on_listener, u->listener.fd, false);
	listener_close(&u->listener);
	u->retire_until = CLOCK_NEVER;
}

void unit_answer(struct unit *u, const struct shared *shared)
{
	char answer;

	if (recv(u->channel, &answer, 1, MSG_DONTWAIT) == 1 && answer == WORKER_DRAINED) {
		u->answer_due = CLOCK_NEVER;
		if (u->retiring)
			close_listener(u, shared);
		return;
	}
	/* the worker has closed it: SIGCHLD tells more */
	watch(shared, &u->on_channel, u->channel, false);
}

/* The status in words, as in a close line. */
static void log_ended(const struct unit *u, int status)
{
	struct log_line line;
	bool normal = WIFEXITED(status) && WEXITSTATUS(status) != WORKER_FAILED;

	log_begin(&line, normal ? LOG_DEBUG : LOG_WARNING, "worker");
	log_str(&line, "service", u->service->name);
	log_num(&line, "pid", u->worker);
	log_status(&line, status);
	if (u->overload.delay > 0)
		log_sec(&line, "retry", u->overload.delay);
	log_end(&line);
}

void unit_worker_ended(struct unit *u, const struct shared *shared, int status,
		       int64_t now)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	if (code > WORKER_FAILED)
		overload_busy(&u->overload, "worker", code, now);
	else if (code == WORKER_FAILED)
		overload_back_off(&u->overload, now);
	else
		overload_over(&u->overload);
	log_ended(u, status);
	/* epoll would keep an entry that a child, forked just now, still has open */
	watch(shared, &u->on_channel, u->channel, false);
	close(u->channel);
	u->channel = -1;
	u->worker = 0;
	u->answer_due = CLOCK_NEVER;
	if (u->stderr_out >= 0 && is_shut_down(u->stderr_out))
		close_stderr(u, shared); /* the next worker gets a new one */
}

/* Whether somebody is queued. */
static bool has_queue(const struct unit *u)
{
	struct pollfd p = {.fd = u->listener.fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

void unit_retire(struct unit *u, const struct shared *shared, int64_t now)
{
	if (u->listener.fd < 0)
		return;
	if (!u->retiring) {
		listener_remove(u->service, &u->listener);
		u->retiring = true;
		u->retire_until = now + RETIRE_TIME;
	}
	if (u->worker == 0 && has_queue(u) && now < u->retire_until)
		unit_start(u, shared, now);
	if (u->worker != 0)
		unit_order(u, WORKER_REFUSE, now);
	else
		close_listener(u, shared);
	unit_watch(u, shared, now);
}

int64_t unit_due(const struct unit *u)
{
	int64_t due = clock_min(u->answer_due, u->retire_until);

	if (u->worker == 0 && u->listener.fd >= 0 && !u->on_listener.on && !u->retiring)
		due = clock_min(due, overload_until(&u->overload));
	return u->log.in >= 0 && !u->log.known ? clock_min(due, u->log_due) : due;
}

void unit_tick(struct unit *u, const struct shared *shared, int64_t now)
{
	if (now >= u->answer_due && u->worker > 0) {
		u->answer_due = CLOCK_NEVER;
		(void)kill(u->worker, SIGKILL);
	}
	if (now >= u->retire_until)
		close_listener(u, shared);
	if (u->log.in >= 0 && !u->log.known && now >= u->log_due) {
		logger_add(&shared->log, &u->log);
		u->log_due = now + LOG_RETRY;
	}
	unit_watch(u, shared, now);
}
