/*
 * instance.c: watches an instance's descriptors, starts its worker and sends it orders.
 */
#include "service/instance.h"

#include "common/clock.h"
#include "worker/waitmode.h"
#include "common/log.h"
#include "common/privilege.h"
#include "worker/stderr.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_TIME NSEC_PER_SEC
#define KILL_AGAIN NSEC_PER_SEC

struct rlimit instance_nofile;

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct instance *instance_new(struct loaded *loaded, const struct service *service)
{
	struct instance *i = malloc(sizeof(*i));

	if (i == NULL)
		return NULL;
	*i = (struct instance){
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
	};
	backoff_init(&i->backoff, service->name);
	return i;
}

void instance_count_unwritten(struct instance *i)
{
	if (i->board != NULL && i->log.row != 0)
		i->board->map->counters.log_dropped +=
			atomic_exchange(log_channel_unwritten(i->log.row), 0);
}

void instance_free(struct instance *i)
{
	instance_unwatch(i);
	listener_close(&i->listener);
	instance_close_stderr(i);
	instance_count_unwritten(i);
	log_channel_close(&i->log);
	board_release(i->board);
	free((void *)(uintptr_t)i->problem.text);
	free((void *)(uintptr_t)i->problem.step);
	if (i->loaded == NULL)
		free((void *)(uintptr_t)i->service);
	loaded_release(i->loaded);
	free(i);
}

bool instance_is_finished(const struct instance *i)
{
	return instance_is_superseded(i) && i->worker == 0 && i->orphans == 0 &&
	       i->predecessors == 0 && i->listener.fd < 0 && !i->listener.stored &&
	       i->stderr_out < 0 && i->adopt_due == CLOCK_NEVER &&
	       (i->log.in < 0 || i->log.known);
}

/* ---- What is watched
 * ------------------------------------------------------------------- */

/* Whether a client is a reason to start a worker, now or later. */
static bool wants_clients(const struct instance *i)
{
	return i->listener.fd >= 0 && i->worker == 0 && i->state == INSTANCE_CURRENT &&
	       i->predecessors == 0 && !i->listener_shut && service_can_run(i->service);
}

/* Whether a line on handlers' standard error is one. */
static bool wants_lines(const struct instance *i)
{
	return i->stderr_out >= 0 && i->worker == 0 && i->state != INSTANCE_STOPPING &&
	       i->predecessors == 0 && service_can_run(i->service);
}

static void watch_or_retry(struct instance *i, struct watch *w, int fd, bool on)
{
	if (watch_set(w, fd, on) < 0 && on)
		backoff_busy(&i->backoff, failure("watch"), clock_now());
}

void instance_watch(struct instance *i, int64_t now)
{
	bool may_start = now >= i->backoff.until;

	watch_or_retry(i, &i->on_listener, i->listener.fd, may_start && wants_clients(i));
	watch_or_retry(i, &i->on_stderr, i->stderr_out, may_start && wants_lines(i));
	watch_or_retry(i, &i->on_channel, i->channel, i->channel >= 0);
}

void instance_unwatch(struct instance *i)
{
	(void)watch_set(&i->on_listener, i->listener.fd, false);
	(void)watch_set(&i->on_stderr, i->stderr_out, false);
	(void)watch_set(&i->on_channel, i->channel, false);
}

int64_t instance_watch_due(const struct instance *i)
{
	if ((wants_clients(i) && !i->on_listener.on) ||
	    (wants_lines(i) && !i->on_stderr.on))
		return i->backoff.until;
	return CLOCK_NEVER;
}

void instance_close_stderr(struct instance *i)
{
	(void)watch_set(&i->on_stderr, i->stderr_out, false);
	close_fd(&i->stderr_in);
	close_fd(&i->stderr_out);
}

/* ---- The worker
 * ------------------------------------------------------------------------ */

/* What a service's workers share, made with the first of them. */
static int equip(struct instance *i)
{
	if (i->board == NULL)
		i->board = board_new();
	if (i->board == NULL)
		return -1;
	if (i->log.in < 0 && log_channel_open(&i->log) < 0)
		return -1;
	log_channel_pass(&i->log); /* if the queue is full now: lifecycle_tick() */
	if (i->service->stderr_target.kind == STDERR_SYSLOG && i->stderr_out < 0 &&
	    !instance_is_superseded(i) && stderr_pair(&i->stderr_in, &i->stderr_out) < 0)
		return -1;
	return 0;
}

static int spawn_worker(struct instance *i)
{
	struct worker_start start = {.service = i->service, .nofile = instance_nofile};
	int pair[2];

	if (i->listener.fd >= 0 &&
	    fcntl(i->listener.fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) <
	    0)
		return -1;
	start.board = i->board->map;
	start.listener = i->listener.fd;
	start.channel = pair[1];
	start.log = i->log.in;
	start.stderr_in = i->stderr_in;
	start.stderr_out = i->stderr_out;
	if (instance_is_retiring(i)) /* it is here for pending connections */
		start.order.order = i->order;
	i->worker = fork();
	if (i->worker == 0)
		worker_run(&start);
	close(pair[1]);
	if (i->worker < 0) {
		i->worker = 0;
		close(pair[0]);
		return -1;
	}
	i->channel = pair[0];
	return 0;
}

/* A handler that accepts is not started for a socket that retires: a worker closes its
 * pending connections. */
static int start_any(struct instance *i)
{
	i->wait_handler = i->handler_ended = false;
	if (equip(i) < 0)
		return -1;
	if (!i->service->wait || i->state != INSTANCE_CURRENT)
		return spawn_worker(i);
	i->worker =
		waitmode_start(i->service, i->listener.fd, i->log.in, &instance_nofile);
	if (i->worker < 0) {
		i->worker = 0;
		return -1;
	}
	i->wait_handler = true;
	i->uid = i->service->identity.uid;
	i->gid = i->service->identity.gid;
	return 0;
}

void instance_start(struct instance *i, int64_t now)
{
	struct log_line line;

	i->started = now;
	if (start_any(i) < 0) {
		backoff_busy(&i->backoff, failure("worker"), now);
	} else {
		log_begin(&line, i->wait_handler ? LOG_INFO : LOG_DEBUG,
			  i->wait_handler ? "handler" : "worker");
		log_str(&line, "service", i->service->name);
		log_num(&line, "pid", i->worker);
		log_str(&line, "status", "started");
		log_end(&line);
	}
	instance_watch(i, now);
}

void instance_forget_worker(struct instance *i)
{
	(void)watch_set(&i->on_channel, i->channel, false);
	close_fd(&i->channel);
	i->worker = 0;
	i->wait_handler = false;
	i->answer_due = i->kill_at = CLOCK_NEVER;
}

/* ---- Orders
 * ---------------------------------------------------------------------------- */

int64_t instance_time_to_answer(char order)
{
	if (order == WORKER_DRAIN || order == WORKER_REFUSE)
		return ANSWER_TIME;
	return order == WORKER_FINISH ? WORKER_FINISH_TIME + ANSWER_TIME : 0;
}

static void send_order(struct instance *i, char order, int64_t now)
{
	if (i->channel < 0)
		return;
	if (send(i->channel, &order, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    order != WORKER_RETRY)
		i->answer_due = now; /* no wait for a worker that cannot get orders */
	else if (instance_time_to_answer(order) > 0)
		i->answer_due = now + instance_time_to_answer(order);
}

/* A handler that accepts is no worker: it gets signals, from a process of its user. */
static void signal_handler(struct instance *i, bool kill, int64_t now)
{
	int64_t grace = i->service->kill_grace;
	bool hard = kill || grace == 0;

	if (privilege_signal(i->uid, i->gid, &i->worker, 1, hard ? SIGKILL : SIGTERM,
			     true) == 0)
		i->handler_ended = true;
	i->kill_at = now + (hard || !i->handler_ended ? KILL_AGAIN : grace);
}

void instance_drain(struct instance *i, int64_t now)
{
	send_order(i, WORKER_DRAIN, now);
}

void instance_retry(struct instance *i, int64_t now)
{
	send_order(i, WORKER_RETRY, now);
}

void instance_finish(struct instance *i, char order, int64_t now)
{
	send_order(i, order, now);
}

void instance_terminate(struct instance *i, int64_t now)
{
	if (i->wait_handler)
		signal_handler(i, false, now);
	send_order(i, WORKER_TERMINATE, now);
}

void instance_kill(struct instance *i, int64_t now)
{
	if (i->wait_handler)
		signal_handler(i, true, now);
	send_order(i, WORKER_KILL, now);
}

bool instance_end(struct instance *i, uint64_t id)
{
	const struct worker_message message = {.order = WORKER_END, .id = id};

	return i->channel >= 0 && send(i->channel, &message, sizeof(message),
				       MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}
