/*
 * worker.c: the process between clients and handlers of one service.
 *
 * It has become the service's user before it touches a connection. Every signal is
 * blocked (SIGALRM but for moments: linger.h) and only SIGCHLD is read, so a process that
 * may signal it cannot give it orders. It holds no descriptor for a live connection, only
 * those of clients before their handlers have started, or `held` while the system has no
 * process or memory for them. Invariant: no error ends it once it has started.
 */
#include "worker/worker.h"

#include "common/clock.h"
#include "common/linger.h"
#include "common/log.h"
#include "common/unixsock.h"
#include "worker/accept.h"
#include "worker/launch.h"
#include "worker/reaper.h"
#include "worker/setup.h"
#include "worker/worker_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define ORPHANED_TIME (200 * NSEC_PER_MSEC) /* the same, without supervisor */
#define FOREIGN_POLL (100 * NSEC_PER_MSEC)  /* another process's slot gives no event */

static void answer(const struct worker *w, char message)
{
	if (!w->orphaned)
		(void)send(CHANNEL, &message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Draining is done: no other client gets in. */
static void stop_accepting(struct worker *w, bool refuse)
{
	if (refuse)
		accept_refuse_pending(w);
	if (w->accepting)
		close(LISTENER);
	w->accepting = false;
	w->finish_at = CLOCK_NEVER;
	answer(w, WORKER_DRAINED);
}

static void worker_end_handlers(struct worker *w, char order)
{
	if (order == WORKER_KILL) {
		reaper_end_all(w, CONN_RUNNING, CONN_KILLED);
		reaper_end_all(w, CONN_TERMINATED, CONN_KILLED);
	} else {
		reaper_end_all(w, CONN_RUNNING, CONN_TERMINATED);
	}
	if (!w->accepting)
		accept_refuse_held(w);
}

static void worker_obey(struct worker *w, const struct worker_message *message)
{
	switch (message->order) {
	case WORKER_TERMINATE:
	case WORKER_KILL:
		worker_end_handlers(w, message->order);
		break;
	case WORKER_END:
		reaper_end(w, message->id);
		break;
	case WORKER_RETRY:
		backoff_init(&w->backoff, w->service->name);
		break;
	case WORKER_FINISH:
		w->finish_at = w->now + WORKER_FINISH_TIME;
		break;
	default:
		if (message->order == WORKER_REFUSE || w->finish_at == CLOCK_NEVER)
			stop_accepting(w, message->order == WORKER_REFUSE);
	}
}

static void read_order(struct worker *w)
{
	struct worker_message message = {0}; /* most are one byte */
	ssize_t n = recv(CHANNEL, &message, sizeof(message), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM))
		return;
	if (n > 0) {
		worker_obey(w, &message);
	} else {
		w->orphaned = true;
		w->finish_at = w->now + ORPHANED_TIME;
	}
}

/* When an idle worker exits; draining ones do at once. */
static int64_t idle_until(const struct worker *w)
{
	int64_t until = w->active + w->service->worker_idle;

	if (w->connections.own > 0 || w->in_state[LAUNCH_HELD] > 0)
		return CLOCK_NEVER;
	if (w->relaying && !w->stderr_closed && !w->orphaned)
		return until;
	if (!w->accepting || w->stderr_closed)
		return w->now;
	/* pending clients that wait for slots of others would only cause the next
	 * worker's start */
	if (connections_live(&w->connections) >= (uint32_t)w->service->max_connections)
		return CLOCK_NEVER;
	until = clock_max(until, userlimit_full_at(w->limit));
	return clock_max(until, w->backoff.until);
}

/* The next time at which there is something to do without an event. */
static int64_t next_due(struct worker *w, bool polling)
{
	int64_t due = clock_min(idle_until(w), clock_min(reaper_due(w), launch_due(w)));

	if (w->finish_at != CLOCK_NEVER)
		due = clock_min(due, polling ? w->now : w->finish_at);
	if (w->relay != NULL)
		due = clock_min(due, stderr_due(w->relay));
	if (w->now < w->backoff.until)
		due = clock_min(due, w->backoff.until);
	else if (w->accepting && !polling && w->connections.nforeign > 0)
		due = clock_min(due, w->now + FOREIGN_POLL);
	return log_lost() > 0 ? clock_min(due, w->now + NSEC_PER_SEC) : due;
}

enum { ON_SIGNAL, ON_CHANNEL, ON_STDERR, ON_LISTENER, EVENTS };

/* An error of poll() is permanent: another process of the same uid may have lowered the
 * limit of descriptors (prlimit). The next worker starts with the right one. False: no
 * event. */
static bool wait_for_event(struct worker *w, struct pollfd *fds, bool polling)
{
	bool relaying = w->relay != NULL && !w->stderr_closed;
	int n;

	fds[ON_SIGNAL] = (struct pollfd){.fd = SIGNALS, .events = POLLIN};
	fds[ON_CHANNEL] = (struct pollfd){w->orphaned ? -1 : CHANNEL, POLLIN, 0};
	fds[ON_STDERR] = (struct pollfd){relaying ? STDERR_OUT : -1, POLLIN, 0};
	fds[ON_LISTENER] = (struct pollfd){polling ? LISTENER : -1, POLLIN, 0};
	n = poll(fds, EVENTS, clock_timeout(w->now, next_due(w, polling)));
	if (n < 0 && errno != EINTR && errno != ENOMEM)
		_exit(WORKER_FAILED);
	return n >= 0;
}

/* Any handler may shut down the socket that all have as standard error. Then the worker
 * exits as soon as it has no connection, and the supervisor makes a new one for its
 * successor. Reads what those have written that have exited, too, while their connections
 * are known. */
static void relay_stderr(struct worker *w, bool readable)
{
	if (w->relay == NULL)
		return;
	if (w->stderr_closed || (!readable && w->nexited == 0)) {
		if (stderr_due(w->relay) <= w->now)
			stderr_tick(w->relay, w->now);
	} else if (!stderr_read(w->relay, w->now)) {
		w->stderr_closed = true;
		log_event(LOG_WARNING, "fail", "service", w->service->name, "step",
			  "stderr", "error", "a handler has shut it down", NULL);
	}
}

static void handle_listener(struct worker *w, bool polling, bool readable)
{
	bool pending = !polling || readable;

	if (polling && readable)
		accept_pending(w);
	if (w->shut)
		answer(w, WORKER_SHUT);
	w->shut = false;
	/* serves the backlog as long as there is time */
	if (w->finish_at != CLOCK_NEVER && (!pending || w->finish_at <= w->now))
		stop_accepting(w, pending && !w->orphaned);
}

static void worker_loop(struct worker *w)
{
	struct pollfd fds[EVENTS];

	while (idle_until(w) > w->now) {
		bool polling = accept_wanted(w);

		if (!wait_for_event(w, fds, polling))
			continue;
		w->now = clock_now();
		launch_settle(w); /* before anything is logged of a connection */
		if (fds[ON_SIGNAL].revents != 0)
			reaper_read(w, fds[ON_LISTENER].revents != 0);
		if (w->sweep_at <= w->now)
			reaper_sweep(w);
		relay_stderr(w, fds[ON_STDERR].revents != 0);
		reaper_reap(w);
		if (fds[ON_CHANNEL].revents != 0)
			read_order(w);
		reaper_expire(w);
		accept_retry(w);
		handle_listener(w, polling, fds[ON_LISTENER].revents != 0);
		w->counters->retry_at = w->backoff.delay > 0 ? w->backoff.until : 0;
		log_report_lost();
	}
}

/* The connection of a line on standard error: the writer's, or that of the leader of its
 * group. */
static struct stderr_writer find_writer(void *arg, pid_t pid)
{
	struct worker *w = arg;
	uint32_t slot = pid > 0 ? connections_find(&w->connections, pid) : 0;

	launch_settle(w); /* a handler that writes has executed */
	if (slot == 0 && pid > 0)
		slot = connections_find(&w->connections, getpgid(pid));
	if (slot == 0)
		return (struct stderr_writer){0};
	return (struct stderr_writer){connections_slot(&w->connections, slot)->id,
				      w->connections.at[slot].pid};
}

static int place_descriptors(const struct worker_start *start)
{
	int from[FDS] = {[LISTENER] = start->listener,
			 [CHANNEL] = start->channel,
			 [LOG] = start->log,
			 [STDERR_OUT] = start->stderr_out};
	bool relaying = start->stderr_in >= 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	from[SIGNALS] = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (from[SIGNALS] < 0)
		return -1;
	return setup_descriptors(from, FDS, relaying ? start->stderr_in : STDIN_FILENO);
}

/* Whether clients may send descriptors: always, where the kernel does not know how to
 * forbid it. */
static bool takes_fds(void)
{
	int on = 1;
	socklen_t len = sizeof(on);

	return getsockopt(LISTENER, SOL_SOCKET, SO_PASSRIGHTS, &on, &len) < 0 || on;
}

/* An earlier handler may have left the shared standard error so that writing
 * fails. */
static int init_stderr(struct worker *w)
{
	const struct timeval never = {0};

	(void)fcntl(STDERR_FILENO, F_SETFL, 0);
	(void)setsockopt(STDERR_FILENO, SOL_SOCKET, SO_SNDTIMEO, &never, sizeof(never));
	w->relay = stderr_new(STDERR_OUT, w->service->name, find_writer, w,
			      &w->counters->stderr_dropped);
	return w->relay != NULL ? 0 : -1;
}

static struct failure worker_init(struct worker *w, const struct worker_start *start)
{
	const struct service *s = start->service;
	const struct userlimit_rule rule = {(uint32_t)s->per_user, s->rate.burst,
					    s->rate.period};
	const uint32_t max = (uint32_t)s->max_connections;
	struct failure f = setup_process(s, &start->nofile);

	if (failed(f))
		return f;
	/* else handlers could trace the worker and open its descriptors */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failure("dumpable");
	linger_init(takes_fds());
	w->limit = userlimit_new(&rule, max);
	if (w->limit == NULL || launch_init(w) < 0 ||
	    (start->stderr_out >= 0 && init_stderr(w) < 0) ||
	    connections_init(&w->connections, start->board, max, w->limit) < 0)
		return failure("memory");
	w->now = w->active = clock_now();
	return SUCCESS;
}

/* For lack of resources the exit status is the error: the supervisor logs it. */
static _Noreturn void worker_fail(struct worker *w, struct failure f)
{
	if (spawn_is_busy(f.error))
		_exit(f.error);
	log_event(LOG_ERR, "fail", "service", w->service->name, "step", f.operation,
		  "error", strerror(f.error), NULL);
	(void)accept_refuse_next(w); /* the client that has come, not later ones */
	_exit(WORKER_FAILED);
}

_Noreturn void worker_run(const struct worker_start *start)
{
	static struct worker w;
	struct failure f;

	w = (struct worker){.service = start->service,
			    .call = {.peer = &w.peer, .from = &w.from},
			    .counters = &start->board->counters,
			    .accepting = start->listener >= 0,
			    .relaying = start->listener < 0,
			    .finish_at = CLOCK_NEVER,
			    .sweep_at = CLOCK_NEVER,
			    .want_groups = access_wants_groups(&start->service->access)};
	backoff_init(&w.backoff, start->service->name);
	linger_init(true); /* as long as it is not known */
	if (place_descriptors(start) < 0)
		_exit(spawn_is_busy(errno) ? errno : WORKER_FAILED);
	log_open(LOG, start->service->log_level, start->service->name);
	log_count_lost(&w.counters->log_dropped);
	f = worker_init(&w, start);
	if (failed(f))
		worker_fail(&w, f);
	if (start->order.order != 0)
		worker_obey(&w, &start->order);
	worker_loop(&w);
	if (w.relay != NULL)
		stderr_finish(w.relay);
	_exit(0);
}
