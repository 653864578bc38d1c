/*
 * worker.c: the process between clients and handlers of one service.
 *
 * It has become the service's user before it touches a connection. Every signal is blocked (SIGALRM
 * but for moments: hurry.h) and only SIGCHLD is read, so nobody who may signal it can give it orders.
 * It holds no descriptor for a live connection, only those of clients whose handlers are being
 * started, or `held` while the system has no process or memory for them. Nothing here is fatal after
 * the beginning.
 */
#include "worker.h"

#include "client.h"
#include "clock.h"
#include "hurry.h"
#include "launch.h"
#include "log.h"
#include "reaper.h"
#include "setup.h"
#include "worker_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
# define SO_PASSRIGHTS 83
#endif

#define FINISH_TIME NSEC_PER_SEC         /* for those who are queued */
#define ALONE_TIME (200 * NSEC_PER_MSEC) /* the same, when the supervisor has gone */
#define FOREIGN_POLL \
 (100 * NSEC_PER_MSEC) /* nobody tells us that another's slot is free */

static void stop_accepting(struct worker *w)
{
	if (w->accepting)
		close(LISTENER);
	w->accepting = false;
}

/* Draining is done: nobody else gets in. */
static void finish(struct worker *w, bool refuse)
{
	const char answer = WORKER_DRAINED;

	if (refuse)
		accept_refuse_pending(w);
	stop_accepting(w);
	w->finish_at = CLOCK_NEVER;
	if (!w->alone)
		(void)send(CHANNEL, &answer, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void end_handlers(struct worker *w, enum worker_order order)
{
	if (order == WORKER_KILL) {
		reaper_end_all(w, CONN_RUNNING, CONN_KILLED);
		reaper_end_all(w, CONN_TERMINATED, CONN_KILLED);
	} else {
		reaper_end_all(w, CONN_RUNNING, CONN_TERMINATED);
	}
}

static void take_order(struct worker *w, const struct worker_message *message)
{
	switch (message->order) {
	case WORKER_TERMINATE:
	case WORKER_KILL:
		end_handlers(w, (enum worker_order)message->order);
		if (!w->accepting)
			accept_refuse_held(w);
		break;
	case WORKER_END:
		reaper_end(w, message->conn);
		break;
	case WORKER_RETRY:
		backoff_init(&w->backoff, w->service->name);
		break;
	case WORKER_FINISH:
		w->finish_at = w->now + FINISH_TIME;
		break;
	default:
		if (message->order == WORKER_REFUSE || w->finish_at == CLOCK_NEVER)
			finish(w, message->order == WORKER_REFUSE);
	}
}

static void obey(struct worker *w)
{
	struct worker_message message = {0}; /* most are one byte */
	ssize_t n = recv(CHANNEL, &message, sizeof(message), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM))
		return;
	if (n > 0) {
		take_order(w, &message);
	} else {
		w->alone = true;
		w->finish_at = w->now + ALONE_TIME;
	}
}

/* Serves who is queued, as long as there is time. */
static void go_on_finishing(struct worker *w, bool queued)
{
	if (w->finish_at != CLOCK_NEVER && (!queued || w->finish_at <= w->now))
		finish(w, queued && !w->alone);
}

static void tell_shut(struct worker *w)
{
	const char message = WORKER_SHUT;

	if (!w->alone)
		(void)send(CHANNEL, &message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	w->shut = false;
}

/* When an idle worker ends; draining ones do at once. */
static int64_t idle_until(const struct worker *w)
{
	int64_t until = w->active + w->service->worker_idle;

	if (w->table.own > 0 || w->held > 0)
		return CLOCK_NEVER;
	if (w->relaying && !w->deaf && !w->alone)
		return until;
	if (!w->accepting || w->deaf)
		return w->now;
	/* whoever waits for a place that others hold would only bring the next worker */
	if (connections_live(&w->table) >= (uint32_t)w->service->max_connections)
		return CLOCK_NEVER;
	if (until < userlimit_full_at(w->limit))
		until = userlimit_full_at(w->limit);
	return until < backoff_until(&w->backoff) ? backoff_until(&w->backoff) : until;
}

/* The next time at which there is something to do without anybody's knocking. */
static int64_t next_due(struct worker *w, bool polling)
{
	int64_t due = idle_until(w);

	due = clock_min(due, reaper_due(w));
	due = clock_min(due, launch_due(w));
	if (w->finish_at != CLOCK_NEVER)
		due = clock_min(due, polling ? w->now : w->finish_at);
	if (w->relay != NULL)
		due = clock_min(due, stderr_due(w->relay));
	if (w->now < backoff_until(&w->backoff))
		due = clock_min(due, backoff_until(&w->backoff));
	else if (w->accepting && !polling && w->table.nforeign > 0)
		due = clock_min(due, w->now + FOREIGN_POLL);
	if (log_lost() > 0)
		due = clock_min(due, w->now + NSEC_PER_SEC);
	return due;
}

/* An error of poll() does not pass: somebody with our uid may have taken our descriptors' limit away
 * (prlimit). The next worker has it again. */
static int wait_for_event(struct pollfd *fds, struct worker *w, bool polling)
{
	int n = poll(fds, 4, clock_timeout(w->now, next_due(w, polling)));

	if (n < 0 && errno != EINTR && errno != ENOMEM)
		_exit(WORKER_FAILED);
	return n;
}

/* Any handler may shut the socket down that all have as standard error. Then we end as soon as
 * nobody is connected, and the supervisor makes a new one for our successor. */
static void read_stderr(struct worker *w)
{
	if (stderr_read(w->relay, w->now))
		return;
	w->deaf = true;
	log_event(LOG_WARNING, "fail", "service", w->service->name, "step", "stderr",
		  "error", "a handler has shut it down", NULL);
}

/* Reads what those have written who have ended, too, while it is known who they were. */
static void go_on_relaying(struct worker *w, bool readable)
{
	if (w->relay == NULL)
		return;
	if (!w->deaf && (readable || w->ndead > 0))
		read_stderr(w);
	else if (stderr_due(w->relay) <= w->now)
		stderr_tick(w->relay, w->now);
}

static void run(struct worker *w)
{
	struct pollfd fds[] = {
		{.fd = SIGNALS, .events = POLLIN},
		{.fd = CHANNEL, .events = POLLIN},
		{.fd = w->relay != NULL ? STDERR_OUT : -1, .events = POLLIN},
		{.fd = -1, .events = POLLIN}};

	while (idle_until(w) > w->now) {
		bool queued, polling = accept_wanted(w);

		fds[1].fd = w->alone ? -1 : CHANNEL;
		fds[2].fd = w->relay == NULL || w->deaf ? -1 : STDERR_OUT;
		fds[3].fd = polling ? LISTENER : -1;
		if (wait_for_event(fds, w, polling) < 0)
			continue;
		w->now = clock_now();
		launch_settle(w); /* before anything is told of a connection */
		if (fds[0].revents != 0)
			reaper_read(w, fds[3].revents != 0);
		if (w->sweep_at <= w->now)
			reaper_sweep(w);
		go_on_relaying(w, fds[2].revents != 0);
		reaper_bury(w);
		if (fds[1].revents != 0)
			obey(w);
		reaper_expire(w);
		accept_retry(w);
		queued = !polling || fds[3].revents != 0;
		if (polling && queued)
			accept_pending(w);
		if (w->shut)
			tell_shut(w);
		go_on_finishing(w, queued);
		w->counters->retry_at =
			w->backoff.delay > 0 ? backoff_until(&w->backoff) : 0;
		log_report_lost();
	}
}

/* Whose a line on standard error is: the writer's, or that of the leader of its group. */
static struct stderr_writer find_writer(void *arg, pid_t pid)
{
	struct worker *w = arg;
	uint32_t conn = pid > 0 ? connections_find(&w->table, pid) : 0;

	launch_settle(w); /* who writes runs */
	if (conn == 0 && pid > 0)
		conn = connections_find(&w->table, getpgid(pid));
	if (conn == 0)
		return (struct stderr_writer){0};
	return (struct stderr_writer){connections_slot(&w->table, conn)->conn,
				      w->table.conns[conn].pid};
}

/* Puts the descriptors where they belong and closes all others. */
static int place_descriptors(const struct worker_start *start)
{
	int from[FDS] = {[LISTENER] = start->listener,
			 [CHANNEL] = start->channel,
			 [LOG] = start->log,
			 [STDERR_OUT] = start->stderr_out};
	sigset_t set;
	int fd;

	for (int i = LISTENER; i < SIGNALS; i++) /* out of the way of each other first */
		if (from[i] >= 0 && (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FDS)) < 0)
			return -1;
	if (start->stderr_in >= 0 && dup2(start->stderr_in, STDERR_FILENO) < 0)
		return -1;
	if (start->stderr_in < 0 && dup2(STDIN_FILENO, STDERR_FILENO) < 0)
		return -1;
	for (int i = LISTENER; i < SIGNALS; i++)
		if (from[i] >= 0 && dup3(from[i], i, O_CLOEXEC) < 0)
			return -1;
	if (start->listener < 0)
		close(LISTENER);
	if (start->stderr_out < 0)
		close(STDERR_OUT);
	close(SIGNALS);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0 || (fd != SIGNALS && dup3(fd, SIGNALS, O_CLOEXEC) < 0))
		return -1;
	if (fd < SIGNALS)
		close(fd);
	return close_range(FDS, ~0U, 0);
}

/* Whether clients may send descriptors: always, where the kernel does not know how to forbid it. */
static bool takes_fds(void)
{
	int on = 1;
	socklen_t len = sizeof(on);

	return getsockopt(LISTENER, SOL_SOCKET, SO_PASSRIGHTS, &on, &len) < 0 || on;
}

/* An earlier handler may have left the socket that is everybody's standard error so that writing to
 * it fails. */
static void reset_stderr(void)
{
	const struct timeval never = {0};

	(void)fcntl(STDERR_FILENO, F_SETFL, 0);
	(void)setsockopt(STDERR_FILENO, SOL_SOCKET, SO_SNDTIMEO, &never, sizeof(never));
}

static int begin(struct worker *w, const struct worker_start *start, const char **step)
{
	const struct service *s = start->service;
	const struct userlimit_rule rule = {(uint32_t)s->per_user, s->rate_burst,
					    s->rate_period};

	if (setup_process(s, &start->nofile, step) < 0)
		return -1;
	*step = "dumpable"; /* else handlers could trace us and open our descriptors */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -1;
	*step = "memory";
	w->limit = userlimit_new(&rule, (uint32_t)s->max_connections);
	linger_init(takes_fds());
	if (w->limit == NULL || launch_init(w) < 0)
		return -1;
	if (start->stderr_out >= 0) {
		reset_stderr();
		w->relay = stderr_new(STDERR_OUT, s->name, find_writer, w,
				      &w->counters->stderr_dropped);
		if (w->relay == NULL)
			return -1;
	}
	w->now = w->active = clock_now();
	return connections_init(&w->table, start->board, (uint32_t)s->max_connections,
				w->limit);
}

_Noreturn void worker_run(const struct worker_start *start)
{
	static struct worker w;
	const char *step = "descriptors";

	w = (struct worker){.service = start->service,
			    .counters = &start->board->counters,
			    .accepting = start->listener >= 0,
			    .relaying = start->listener < 0,
			    .finish_at = CLOCK_NEVER,
			    .sweep_at = CLOCK_NEVER,
			    .want_groups = access_wants_groups(&start->service->access)};
	log_open(start->log, start->service->log_level, start->service->name);
	backoff_init(&w.backoff, start->service->name);
	linger_init(true); /* as long as nobody has asked */
	if (place_descriptors(start) < 0)
		_exit(spawn_is_busy(errno) ? errno : WORKER_FAILED);
	log_open(LOG, start->service->log_level, start->service->name);
	log_count_lost(&w.counters->log_dropped);
	if (begin(&w, start, &step) < 0) {
		if (spawn_is_busy(errno))
			_exit(errno); /* the supervisor will say so */
		log_event(LOG_ERR, "fail", "service", start->service->name, "step", step,
			  "error", strerror(errno), NULL);
		(void)accept_refuse_next(&w); /* who came, not who comes later */
		_exit(WORKER_FAILED);
	}
	if (start->order.order != 0)
		take_order(&w, &start->order);
	run(&w);
	if (w.relay != NULL)
		stderr_finish(w.relay);
	_exit(0);
}
