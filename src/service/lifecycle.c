/*
 * lifecycle.c: handles events of listeners, workers and handlers' standard error; retires
 * instances and starts their successors.
 */
#include "service/lifecycle.h"

#include "common/clock.h"
#include "worker/waitmode.h"
#include "common/log.h"
#include "worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_RETRY (100 * NSEC_PER_MSEC)

static lifecycle_accept *lifecycle_accept_control;

/* The instance that a watch is part of. */
#define INSTANCE_OF(watch, member) \
 ((struct instance *)(void *)((char *)(watch)-offsetof(struct instance, member)))

void lifecycle_on_control(lifecycle_accept *accept)
{
	lifecycle_accept_control = accept;
}

/* ---- Events
 * ---------------------------------------------------------------------------- */

static bool has_events(int fd, short wanted, short events)
{
	struct pollfd p = {.fd = fd, .events = wanted};

	return poll(&p, 1, 0) == 1 && (p.revents & events) != 0;
}

static void listener_ready(struct watch *w, int64_t now)
{
	struct instance *i = INSTANCE_OF(w, on_listener);

	if (instance_is_control(i)) {
		lifecycle_accept_control(i, now);
	} else if (i->worker == 0 && has_events(i->listener.fd, 0, POLLHUP)) {
		backoff_failed(&i->backoff, i->service->socket, 0,
			       failure_of("accept", EINVAL), now);
		i->listener_shut = true;
		instance_watch(i, now);
	} else if (i->worker == 0) {
		instance_start(i, now);
	}
}

static void stderr_ready(struct watch *w, int64_t now)
{
	struct instance *i = INSTANCE_OF(w, on_stderr);
	char byte;

	if (i->worker != 0)
		return;
	if (instance_is_superseded(i) &&
	    recv(i->stderr_out, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		instance_close_stderr(i); /* no process can write to it any more */
	else
		instance_start(i, now);
}

static void let_successor_start(struct instance *i, int64_t now)
{
	struct instance *next = i->successor;

	if (next == NULL)
		return;
	i->successor = NULL;
	next->predecessors--;
	instance_watch(next, now);
}

/* The worker accepts no more, or there is none: a retiring socket is closed. */
static void drained(struct instance *i, int64_t now)
{
	if (instance_is_retiring(i)) {
		instance_unwatch(i);
		listener_close(&i->listener);
		instance_watch(i, now);
	}
	i->retire_until = CLOCK_NEVER;
	let_successor_start(i, now);
}

static void channel_ready(struct watch *w, int64_t now)
{
	struct instance *i = INSTANCE_OF(w, on_channel);
	char answer;
	ssize_t n = recv(i->channel, &answer, 1, MSG_DONTWAIT);

	if (n == 1 && answer == WORKER_DRAINED) {
		i->answer_due = CLOCK_NEVER;
		drained(i, now);
	} else if (n == 1 && answer == WORKER_SHUT) {
		backoff_extend(&i->backoff, now);
		i->listener_shut = true;
	} else if (n >= 0 || (errno != EAGAIN && errno != EINTR && errno != ENOMEM)) {
		/* the worker has closed it: SIGCHLD follows */
		(void)watch_set(w, i->channel, false);
	}
}

struct instance *lifecycle_new(struct loaded *loaded, const struct service *service)
{
	struct instance *i = instance_new(loaded, service);

	if (i == NULL)
		return NULL;
	i->on_listener.ready = listener_ready;
	i->on_stderr.ready = stderr_ready;
	i->on_channel.ready = channel_ready;
	return i;
}

/* ---- The end of a worker
 * ------------------------------------------------------------------ */

/* The status in words, as in a close line. */
static void log_ended(const struct instance *i, int status, const struct rusage *usage,
		      int64_t now)
{
	struct log_line line;
	bool normal = WIFEXITED(status) && WEXITSTATUS(status) != WORKER_FAILED;
	int level = normal ? LOG_DEBUG : LOG_WARNING;

	log_begin(&line, i->wait_handler ? LOG_INFO : level,
		  i->wait_handler ? "handler" : "worker");
	log_str(&line, "service", i->service->name);
	log_num(&line, "pid", i->worker);
	log_status(&line, status);
	if (i->wait_handler)
		log_usage(&line, now - i->started, usage);
	if (i->backoff.delay > 0)
		log_sec(&line, "retry", i->backoff.delay);
	log_end(&line);
}

/* A handler that ends badly as soon as it has begun is not started again at once, and no
 * other more often than is useful. */
static void pace_handler(struct instance *i, int status, int64_t now)
{
	bool bad = !WIFEXITED(status) || WEXITSTATUS(status) != 0;

	if (bad && !i->handler_ended && now - i->started < WAITMODE_BRIEF)
		backoff_extend(&i->backoff, now);
	else
		backoff_over(&i->backoff);
	if (i->backoff.until < i->started + WAITMODE_PACE)
		i->backoff.until = i->started + WAITMODE_PACE;
}

static void pace_worker(struct instance *i, int status, int64_t now)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	if (code > WORKER_FAILED)
		backoff_busy(&i->backoff, failure_of("worker", code), now);
	else if (code == WORKER_FAILED)
		backoff_extend(&i->backoff, now);
	else if (!i->listener_shut)
		backoff_over(&i->backoff);
}

/* Removes the path; then pending connections are served (WORKER_FINISH) or closed
 * (WORKER_REFUSE), and the socket is closed. Called again when the worker has ended
 * meanwhile. */
static void retire(struct instance *i, char order, int64_t now)
{
	if (i->listener.fd < 0)
		return;
	i->order = i->service->wait ? WORKER_REFUSE : order;
	if (i->wait_handler) { /* it may go on; the others follow when it has ended */
		i->retire_until = CLOCK_NEVER;
		return;
	}
	if (i->retire_until == CLOCK_NEVER)
		i->retire_until = now + instance_time_to_answer(order);
	if (i->worker == 0 && !instance_is_control(i) && service_can_run(i->service) &&
	    has_events(i->listener.fd, POLLIN, ~0) && now < i->retire_until)
		instance_start(i, now);
	if (i->worker != 0)
		instance_finish(i, i->order, now);
	else
		drained(i, now);
	instance_watch(i, now);
}

void lifecycle_worker_ended(struct instance *i, int status, const struct rusage *usage,
			    int64_t now)
{
	if (i->wait_handler)
		pace_handler(i, status, now);
	else
		pace_worker(i, status, now);
	log_ended(i, status, usage, now);
	instance_forget_worker(i);
	/* A handler has shut down what all of them have as standard error: we hold both
	 * ends, so nothing else hangs it up. The next worker gets a new one. */
	if (i->stderr_out >= 0 && i->stderr_in >= 0 &&
	    has_events(i->stderr_out, POLLRDHUP, POLLHUP | POLLRDHUP))
		instance_close_stderr(i);
	let_successor_start(i, now);
}

void lifecycle_go_on(struct instance *i, int64_t now)
{
	if (instance_is_retiring(i))
		retire(i, i->order, now);
	instance_watch(i, now);
}

/* ---- Retirement and succession
 * ---------------------------------------------------------- */

static void begin_to_retire(struct instance *i, enum instance_state state, char order,
			    int64_t now)
{
	bool first = !instance_is_retiring(i);

	if (i->state == INSTANCE_CURRENT)
		i->state = state;
	if (i->listener.fd < 0)
		return;
	if (first)
		listener_remove(i->service, &i->listener);
	if (first || (order == WORKER_REFUSE && i->order != order))
		i->retire_until = now + instance_time_to_answer(order);
	retire(i, order, now);
}

void lifecycle_stop(struct instance *i, int64_t now)
{
	begin_to_retire(i, INSTANCE_STOPPING, WORKER_REFUSE, now);
}

void lifecycle_succeed(struct instance *i, struct instance *successor)
{
	i->successor = successor;
	successor->predecessors++;
}

void lifecycle_pass_listener(struct instance *i, struct instance *next)
{
	instance_unwatch(i);
	next->listener = i->listener;
	next->seen = i->seen;
	i->listener = (struct listener){.fd = -1, .wd = -1, .dir_wd = -1};
	if (i->wait_handler) { /* it runs on: it is the socket's, whatever we want next */
		next->worker = i->worker;
		next->wait_handler = true;
		next->uid = i->uid;
		next->gid = i->gid;
		next->started = i->started;
		next->handler_ended = i->handler_ended;
		next->kill_at = i->kill_at;
		i->worker = 0;
		i->wait_handler = false;
		i->kill_at = CLOCK_NEVER;
	} else if (i->worker != 0) {
		lifecycle_succeed(i, next);
	}
}

void lifecycle_supersede(struct instance *i, int64_t now)
{
	if (i->listener.fd >= 0)
		begin_to_retire(i, INSTANCE_SUPERSEDED, WORKER_FINISH, now);
	else if (i->worker != 0)
		instance_drain(i, now);
	i->state = INSTANCE_SUPERSEDED;
	if (i->wait_handler)
		instance_terminate(i, now);
	if (i->stderr_in >=
	    0) /* handlers have it; when they have ended we want to know */
		close(i->stderr_in);
	i->stderr_in = -1;
	instance_watch(i, now);
}

int64_t lifecycle_due(const struct instance *i)
{
	int64_t due = clock_min(i->answer_due, i->retire_until);

	due = clock_min(due, clock_min(i->kill_at, instance_watch_due(i)));
	return i->log.in >= 0 && !i->log.known ? clock_min(due, i->log_due) : due;
}

void lifecycle_tick(struct instance *i, int64_t now)
{
	if (now >= i->answer_due && i->worker > 0) {
		i->answer_due = CLOCK_NEVER;
		(void)kill(i->worker, SIGKILL);
	}
	if (now >= i->kill_at)
		instance_kill(i, now);
	if (now >= i->retire_until)
		drained(i, now);
	if (i->log.in >= 0 && !i->log.known && now >= i->log_due) {
		log_channel_pass(&i->log);
		i->log_due = now + LOG_RETRY;
	}
	instance_watch(i, now);
}
