/*
 * supervisor.c: the start, the loop, the end.
 *
 * Exits only before the steady state (the first epoll_wait) or when all has ended after a stop;
 * in between nothing is fatal.
 */
#include "supervisor.h"

#include "adopt.h"
#include "children.h"
#include "clock.h"
#include "control.h"
#include "handover.h"
#include "inherited.h"
#include "log.h"
#include "logger.h"
#include "notify.h"
#include "orphan.h"
#include "path.h"
#include "pidfile.h"
#include "reload.h"
#include "start.h"
#include "status.h"
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define EVENTS 64
#define LOGGER_TIME NSEC_PER_SEC  /* what the log process gets to finish */
#define LOGGER_PAUSE NSEC_PER_SEC /* from one log process to the next, at least */

void supervisor_add(struct supervisor *sup, struct unit *unit)
{
	struct unit **end = &sup->units;

	while (*end != NULL)
		end = &(*end)->next;
	*end = unit;
}

size_t supervisor_listening(const struct supervisor *sup)
{
	size_t n = 0;

	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		n += u->listener.fd >= 0 && !u->retiring && !unit_is_control(u);
	return n;
}

void supervisor_log_listen(const struct unit *u)
{
	if (unit_is_control(u))
		log_event(LOG_INFO, "listen", "control-socket", u->service->socket, NULL);
	else
		log_event(LOG_INFO, "listen", "service", u->service->name, "socket",
			  u->service->socket, NULL);
}

/* Starts the log process with all channels that there are. */
static void start_logger(struct supervisor *sup)
{
	const struct log_channel *orders = &sup->shared.orders;

	sup->logger_due = clock_now() + LOGGER_PAUSE;
	sup->logger = logger_start(orders, &sup->shared.log, sup->options->to_syslog,
				   supervisor_config(sup)->syslog_facility);
	if (sup->logger < 0)
		sup->logger = 0;
	for (struct unit *u = sup->units; sup->logger > 0 && u != NULL; u = u->next)
		if (u->log.out >= 0) {
			u->log.known = false;
			logger_add(orders, &u->log);
		}
}

static int open_all(struct supervisor *sup)
{
	static struct watch on_signals = {.kind = WATCH_SIGNALS};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &on_signals};
	int status;

	if (inherited_limit(&sup->shared.nofile) < 0)
		return start_error(EX_OSERR, "start", strerror(errno));
	status = start_open(sup);
	if (status != 0)
		return status;
	sup->shared.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (sup->shared.epoll < 0 ||
	    epoll_ctl(sup->shared.epoll, EPOLL_CTL_ADD, sup->signals, &event) < 0 ||
	    log_channel_open(&sup->shared.log) < 0 ||
	    log_orders_open(&sup->shared.orders) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return start_error(EX_OSERR, "start", strerror(errno));
	(void)path_open(sup);
	start_logger(sup);
	if (sup->logger == 0)
		return start_error(EX_OSERR, "start the log process", strerror(errno));
	return 0;
}

static void take_signal(struct supervisor *sup, int sig, int64_t now)
{
	switch (sig) {
	case SIGTERM:
	case SIGINT:
		stop_signal(sup, sig, now);
		break;
	case SIGHUP:
		reload_request(sup, now);
		break;
	case SIGUSR2:
		reload_request_upgrade(sup, now);
		break;
	case SIGUSR1:
		status_log(sup, now);
		break;
	default:; /* SIGCHLD */
	}
}

static void read_signals(struct supervisor *sup, int64_t now)
{
	struct signalfd_siginfo info[16];
	ssize_t n = read(sup->signals, info, sizeof(info));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*info); i++)
		take_signal(sup, (int)info[i].ssi_signo, now);
	sup->unreaped = true;
}

/* Frees former units of which nothing is left. Not while events may still name them. */
static void sweep(struct supervisor *sup)
{
	struct unit **at = &sup->units;

	while (*at != NULL) {
		struct unit *u = *at;

		if (!unit_is_spent(u) || u->listener.stored) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		path_forget(sup, u);
		unit_free(u, &sup->shared);
	}
}

static void tick(struct supervisor *sup, int64_t now)
{
	sup->unreaped = sup->unreaped && children_reap(sup, now);
	children_adopt(sup, now);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		if (unit_due(u) <= now)
			unit_tick(u, &sup->shared, now);
	orphan_tick(now);
	path_tick(sup, now);
	reload_tick(sup, now);
	control_tick(now);
	stop_tick(sup, now);
	if (sup->logger == 0 && sup->logger_due <= now)
		start_logger(sup);
	notify_tick(sup->units, now);
	sweep(sup);
	log_report_lost();
}

static int64_t next_due(const struct supervisor *sup)
{
	int64_t due = clock_min(stop_due(sup), orphan_due());

	if (sup->unreaped)
		return 0;
	due = clock_min(due, clock_min(reload_due(sup), notify_due()));
	due = clock_min(due, control_due());
	if (!sup->stopping)
		due = clock_min(due, path_due(sup));
	if (sup->logger == 0)
		due = clock_min(due, sup->logger_due);
	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		due = clock_min(due, unit_due(u));
	return log_lost() > 0 ? clock_min(due, clock_now() + NSEC_PER_SEC) : due;
}

static void take_event(struct supervisor *sup, const struct watch *w, int64_t now)
{
	switch (w->kind) {
	case WATCH_SIGNALS:
		read_signals(sup, now);
		break;
	case WATCH_PATHS:
		path_event(sup, now);
		break;
	case WATCH_CHANNEL:
		unit_answer(w->unit, &sup->shared, now);
		break;
	case WATCH_CLIENT:
		control_event(sup, w, now);
		break;
	default:
		if (unit_is_control(w->unit))
			control_accept(sup, w->unit, now);
		else
			unit_event(w->unit, &sup->shared, w, now);
	}
}

static void run(struct supervisor *sup)
{
	struct epoll_event event[EVENTS];

	while (!stop_is_over(sup)) {
		int n = epoll_wait(sup->shared.epoll, event, EVENTS,
				   clock_timeout(clock_now(), next_due(sup)));
		int64_t now = clock_now();

		/* An event of a batch may be about what an earlier one has changed: each is only a
		 * reason to look. */
		for (int i = 0; i < n; i++)
			take_event(sup, event[i].data.ptr, now);
		tick(sup, now);
	}
}

/* The log process ends by itself once nobody can write to it any more. */
static void stop_logger(struct supervisor *sup)
{
	int64_t until = clock_now() + LOGGER_TIME;
	struct signalfd_siginfo info;

	for (struct unit *u = sup->units; u != NULL; u = u->next)
		log_channel_close(&u->log);
	log_open(-1, LOG_ERR, NULL);
	log_channel_close(&sup->shared.log);
	log_channel_close(&sup->shared.orders);
	while (sup->logger > 0 && waitpid(sup->logger, NULL, WNOHANG) == 0) {
		struct epoll_event event;

		if (clock_now() >= until)
			(void)kill(sup->logger, SIGKILL);
		(void)epoll_wait(sup->shared.epoll, &event, 1, 5);
		if (read(sup->signals, &info, sizeof(info)) < 0)
			continue;
	}
}

static void close_all(struct supervisor *sup)
{
	while (sup->units != NULL) {
		struct unit *u = sup->units;

		if (u->listener.fd >= 0)
			listener_remove(u->service, &u->listener);
		sup->units = u->next;
		unit_free(u, &sup->shared);
	}
	if (sup->pidfile >= 0)
		pidfile_release(supervisor_config(sup)->pid_file, sup->pidfile);
	loaded_release(sup->loaded);
	close(sup->inotify);
	close(sup->shared.epoll);
	close(sup->signals);
}

/* From here on the daemon has nothing to do with its caller's terminal. One that cannot say that it
 * is ready would be waited for for ever; where nobody waits any more (EPIPE) it goes on. */
static int say_ready(struct supervisor *sup)
{
	int fd = sup->options->ready_fd;

	notify_ready(supervisor_listening(sup), supervisor_config(sup)->count);
	notify_store(sup->units);
	if (fd < 0)
		return 0;
	if (write(fd, "", 1) < 0 && errno != EPIPE)
		return start_error(EX_OSERR, "tell of the start", strerror(errno));
	(void)dup2(STDIN_FILENO, STDERR_FILENO);
	close(fd);
	return 0;
}

/* All sockets are open: what else it takes to serve. */
static int begin(struct supervisor *sup)
{
	int64_t now = clock_now();

	log_open(sup->shared.log.in, supervisor_config(sup)->log_level, NULL);
	log_count_lost(&sup->log_dropped);
	start_settle(sup);
	adopt_all(sup, now);
	start_tell(sup);
	handover_close();
	path_look_soon(sup, now);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		unit_watch(u, &sup->shared, now);
	return say_ready(sup);
}

int supervisor_run(struct loaded *config, const struct supervisor_options *options)
{
	struct supervisor sup = {.options = options,
				 .loaded = config,
				 .shared = {.epoll = -1, .log = {.in = -1, .out = -1}},
				 .pidfile = -1,
				 .inotify = -1,
				 .probe_output = -1,
				 .unreaped = true,
				 .pid = getpid(),
				 .started = clock_now(),
				 .task_until = CLOCK_NEVER,
				 .paths_due = CLOCK_NEVER,
				 .give_up_at = CLOCK_NEVER,
				 .terminate_at = CLOCK_NEVER,
				 .loader = {.fd = -1}};
	int status = EX_OSERR;

	notify_open();
	sup.signals = inherited_signals();
	if (sup.signals < 0)
		return start_error(EX_OSERR, "start", strerror(errno));
	status = open_all(&sup);
	if (status == 0)
		status = begin(&sup);
	if (status == 0) {
		run(&sup);
		notify_tick(sup.units, clock_now());
		stop_logger(&sup);
	}
	close_all(&sup);
	return status;
}
