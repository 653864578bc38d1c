/*
 * supervisor.c: the loop: workers on demand, signals, reaping, stop.
 *
 * Exits only before the steady state (the first epoll_wait) or when all has ended after a stop;
 * in between nothing is fatal.
 */
#include "supervisor.h"

#include "clock.h"
#include "inherited.h"
#include "log.h"
#include "logger.h"
#include "orphan.h"
#include "pidfile.h"
#include "unit.h"
#include "worker.h"

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
#define REAP_A_TURN 64
#define GIVE_UP_TIME (5 * NSEC_PER_SEC) /* after the last SIGKILL of a stop */
#define LOGGER_TIME NSEC_PER_SEC        /* what the log process gets to finish */
#define LOGGER_PAUSE NSEC_PER_SEC       /* from one log process to the next, at least */

static struct shared shared;
static const struct config *config;
static struct unit *units; /* config->count of them */
static int pidfile = -1;
static int signals = -1;   /* a signalfd */
static pid_t logger;       /* 0: none */
static int64_t logger_due; /* when the next one may be started */
static bool to_syslog;
static bool stopping;
static bool unreaped;                      /* children may have ended */
static bool given_up;                      /* on handlers that cannot be ended */
static int64_t give_up_at = CLOCK_NEVER;   /* when to do that */
static int64_t terminate_at = CLOCK_NEVER; /* when handlers get SIGTERM after a stop */

static struct unit *unit_of_worker(pid_t pid)
{
	for (size_t i = 0; i < config->count; i++)
		if (units[i].worker == pid)
			return &units[i];
	return NULL;
}

static bool is_ours(pid_t pid)
{
	return pid == logger || unit_of_worker(pid) != NULL;
}

/* Starts the log process with all channels that there are. */
static void start_logger(void)
{
	logger_due = clock_now() + LOGGER_PAUSE;
	logger = logger_start(&shared.log, to_syslog, config->syslog_facility);
	if (logger < 0)
		logger = 0;
	for (size_t i = 0; logger > 0 && i < config->count; i++)
		if (units[i].log.out >= 0) {
			units[i].log.known = false;
			logger_add(&shared.log, &units[i].log);
		}
}

/* Says what went wrong at the start. */
static int start_error(int status, const char *what, const char *why)
{
	fprintf(stderr, "udsd: %s: %s\n", what, why);
	return status;
}

static int open_pidfile(void)
{
	if (*config->pid_file == '\0')
		return 0;
	pidfile = pidfile_take(config->pid_file);
	if (pidfile >= 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return start_error(EX_UNAVAILABLE, config->pid_file,
				   "udsd runs already: stop it, or use another pid-file");
	return start_error(EX_OSERR, config->pid_file, strerror(errno));
}

static int open_listeners(void)
{
	for (size_t i = 0; i < config->count; i++) {
		const char *step;
		const struct service *s = units[i].service;

		if (!s->enabled || listener_open(s, &units[i].listener, &step) == 0)
			continue;
		fprintf(stderr, "udsd: service %s: %s: %s: %s\n", s->name, s->socket,
			step, strerror(errno));
		return errno == EADDRINUSE ? EX_UNAVAILABLE : EX_OSERR;
	}
	return 0;
}

static void log_listening(void)
{
	struct log_line line;
	size_t n = 0;

	for (size_t i = 0; i < config->count; i++)
		n += units[i].listener.fd >= 0;
	log_begin(&line, LOG_NOTICE, "start");
	log_str(&line, "version", PACKAGE_VERSION);
	log_num(&line, "services", (int64_t)n);
	log_end(&line);
	for (size_t i = 0; i < config->count; i++)
		if (units[i].listener.fd >= 0)
			log_event(LOG_INFO, "listen", "service", units[i].service->name,
				  "socket", units[i].service->socket, NULL);
}

static int open_all(void)
{
	static struct watch on_signals = {.kind = WATCH_SIGNALS};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &on_signals};
	int status;

	inherited_limit(&shared.nofile);
	status = open_pidfile();
	if (status == 0)
		status = open_listeners();
	if (status != 0)
		return status;
	shared.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (shared.epoll < 0 ||
	    epoll_ctl(shared.epoll, EPOLL_CTL_ADD, signals, &event) < 0 ||
	    log_channel_open(&shared.log) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return start_error(EX_OSERR, "start", strerror(errno));
	start_logger();
	if (logger == 0)
		return start_error(EX_OSERR, "start the log process", strerror(errno));
	return 0;
}

static void begin_stop(const char *reason, int64_t now)
{
	stopping = true;
	log_event(LOG_NOTICE, "stop", "reason", reason, NULL);
	for (size_t i = 0; i < config->count; i++)
		unit_retire(&units[i], &shared, now);
	terminate_at = now + config->stop_timeout;
}

static void end_handlers(char order, int signal, int64_t now)
{
	int64_t grace = 0;

	terminate_at = CLOCK_NEVER;
	for (size_t i = 0; i < config->count; i++) {
		unit_order(&units[i], order, now);
		if (order == WORKER_TERMINATE && config->services[i].kill_grace > grace)
			grace = config->services[i].kill_grace;
	}
	give_up_at = now + grace + GIVE_UP_TIME;
	orphan_end_all(signal, now);
}

static void take_signal(int sig, int64_t now)
{
	if ((sig == SIGTERM || sig == SIGINT) && !stopping)
		begin_stop(sig == SIGTERM ? "TERM" : "INT", now);
	else if (sig == SIGTERM || sig == SIGINT)
		end_handlers(WORKER_KILL, SIGKILL, now);
	else if (sig != SIGCHLD)
		log_event(LOG_NOTICE, "signal", "name", sigabbrev_np(sig), "error",
			  "not yet supported", NULL);
}

static void worker_ended(struct unit *u, int status, int64_t now)
{
	pid_t pid = u->worker;

	unit_worker_ended(u, &shared, status, now);
	orphan_adopt(u, pid, is_ours);
	if (stopping)
		unit_retire(u, &shared, now);
	unit_watch(u, &shared, now);
}

/* Waits for one of ours that has ended; one that was stopped is as good as dead. */
static void take_ours(struct unit *u, pid_t pid, int64_t now)
{
	struct log_line line;
	int status;

	if (waitpid(pid, &status, WNOHANG | WUNTRACED) != pid)
		return;
	if (WIFSTOPPED(status)) {
		(void)kill(pid, SIGKILL);
		return;
	}
	if (u != NULL) {
		worker_ended(u, status, now);
		return;
	}
	logger = 0;
	log_begin(&line, LOG_WARNING, "logger");
	log_num(&line, "pid", pid);
	log_status(&line, status);
	log_end(&line);
}

/* Somebody's handler, which may be that of a worker whose own end we have not seen: then this one
 * comes first. `fresh`: this has not been looked at since the last wait for events. */
static void take_other(pid_t pid, bool fresh, int64_t now)
{
	if (orphan_bury(pid))
		return;
	for (size_t i = 0; fresh && i < config->count; i++)
		if (units[i].worker != 0)
			take_ours(&units[i], units[i].worker, now);
	if (!orphan_bury(pid))
		(void)waitpid(pid, NULL, WNOHANG | WUNTRACED);
}

/* Waits for a few children that have ended; what else is to be done must not starve for them. True
 * if there may be more. */
static bool reap(int64_t now)
{
	siginfo_t info;
	bool fresh = true;

	for (int i = 0; i < REAP_A_TURN; i++) {
		struct unit *u;

		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid == 0)
			return false;
		u = unit_of_worker(info.si_pid);
		if (u != NULL || info.si_pid == logger) {
			take_ours(u, info.si_pid, now);
		} else if (info.si_code == CLD_STOPPED) { /* a handler may stop itself */
			(void)waitpid(info.si_pid, NULL, WNOHANG | WUNTRACED);
		} else {
			take_other(info.si_pid, fresh, now);
			fresh = false;
		}
	}
	return true;
}

static void read_signals(int64_t now)
{
	struct signalfd_siginfo info[16];
	ssize_t n = read(signals, info, sizeof(info));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*info); i++)
		take_signal((int)info[i].ssi_signo, now);
	unreaped = true;
}

/* Some processes cannot be ended: traced ones, those in the kernel. */
static void give_up(void)
{
	give_up_at = CLOCK_NEVER;
	log_event(LOG_ERR, "stop", "error", "some handlers could not be ended", NULL);
	for (size_t i = 0; i < config->count; i++)
		if (units[i].worker != 0)
			(void)kill(units[i].worker, SIGKILL);
	given_up = true;
}

static void tick(int64_t now)
{
	unreaped = unreaped && reap(now);
	for (size_t i = 0; i < config->count; i++)
		if (unit_due(&units[i]) <= now)
			unit_tick(&units[i], &shared, now);
	orphan_tick(now);
	if (logger == 0 && logger_due <= now)
		start_logger();
	if (terminate_at <= now)
		end_handlers(WORKER_TERMINATE, SIGTERM, now);
	if (give_up_at <= now)
		give_up();
	if (given_up)
		orphan_forget_all();
	log_report_lost();
}

static int64_t next_due(void)
{
	int64_t due = clock_min(clock_min(terminate_at, give_up_at), orphan_due());

	if (unreaped)
		return 0;
	if (logger == 0)
		due = clock_min(due, logger_due);
	for (size_t i = 0; i < config->count; i++)
		due = clock_min(due, unit_due(&units[i]));
	return log_lost() > 0 ? clock_min(due, clock_now() + NSEC_PER_SEC) : due;
}

static bool is_over(void)
{
	if (!stopping || orphan_count() > 0)
		return false;
	for (size_t i = 0; i < config->count; i++)
		if (units[i].worker != 0 || units[i].listener.fd >= 0)
			return false;
	return true;
}

static void take_event(struct watch *w, int64_t now)
{
	if (w->kind == WATCH_SIGNALS)
		read_signals(now);
	else if (w->kind == WATCH_CHANNEL)
		unit_answer(w->unit, &shared);
	else if (w->unit->worker == 0)
		unit_start(w->unit, &shared, now);
}

static void run(void)
{
	struct epoll_event event[EVENTS];

	while (!is_over()) {
		int n = epoll_wait(shared.epoll, event, EVENTS,
				   clock_timeout(clock_now(), next_due()));
		int64_t now = clock_now();

		/* An event of a batch may be about what an earlier one has changed: each is only a
		 * reason to look. */
		for (int i = 0; i < n; i++)
			take_event(event[i].data.ptr, now);
		tick(now);
	}
}

/* The log process ends by itself once nobody can write to it any more. */
static void stop_logger(void)
{
	int64_t until = clock_now() + LOGGER_TIME;
	struct signalfd_siginfo info;

	for (size_t i = 0; i < config->count; i++)
		log_channel_close(&units[i].log);
	log_open(-1, LOG_ERR, NULL);
	log_channel_close(&shared.log);
	while (logger > 0 && waitpid(logger, NULL, WNOHANG) == 0) {
		struct epoll_event event;

		if (clock_now() >= until)
			(void)kill(logger, SIGKILL);
		(void)epoll_wait(shared.epoll, &event, 1, 5);
		if (read(signals, &info, sizeof(info)) < 0)
			continue;
	}
}

static void close_all(void)
{
	for (size_t i = 0; i < config->count; i++) {
		if (units[i].listener.fd < 0)
			continue;
		listener_remove(units[i].service, &units[i].listener);
		listener_close(&units[i].listener);
	}
	if (pidfile >= 0)
		pidfile_release(config->pid_file, pidfile);
}

/* From here on the daemon has nothing to do with its caller's terminal. */
static void say_ready(int fd)
{
	(void)dup2(STDIN_FILENO, STDERR_FILENO);
	if (write(fd, "", 1) < 0)
		log_event(LOG_WARNING, "start", "error", strerror(errno), NULL);
	close(fd);
}

int supervisor_run(const struct config *c, const struct supervisor_options *options)
{
	int status = EX_OSERR;
	int64_t now;

	config = c;
	to_syslog = options->to_syslog;
	shared.log = (struct log_channel){.in = -1, .out = -1};
	units = calloc(c->count + 1, sizeof(*units));
	if (units == NULL || (signals = inherited_signals()) < 0)
		return start_error(EX_OSERR, "start", strerror(errno));
	for (size_t i = 0; i < c->count; i++)
		unit_init(&units[i], &c->services[i]);
	status = open_all();
	if (status == 0) {
		log_open(shared.log.in, c->log_level, NULL);
		log_listening();
		now = clock_now();
		for (size_t i = 0; i < c->count; i++)
			unit_watch(&units[i], &shared, now);
		if (options->ready_fd >= 0)
			say_ready(options->ready_fd);
		run();
		stop_logger();
	}
	close_all();
	free(units);
	return status;
}
