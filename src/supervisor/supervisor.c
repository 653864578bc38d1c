/*
 * supervisor.c: the loop: waits for an event or a time, and lets each part do what is
 * due.
 *
 * Exits only before the steady state (the first wait for events) or when all has ended
 * after a stop; in between nothing is fatal.
 */
#include "supervisor/supervisor.h"

#include "supervisor/children.h"
#include "common/clock.h"
#include "control/control.h"
#include "service/lifecycle.h"
#include "common/log.h"
#include "supervisor/logger.h"
#include "service/orphans.h"
#include "service/pathwatch.h"
#include "common/pidfile.h"
#include "service/recheck.h"
#include "service/reload.h"
#include "service/sdnotify.h"
#include "supervisor/shutdown.h"
#include "supervisor/startup.h"
#include "control/status.h"
#include "upgrade/upgrade.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- Signals
 * ----------------------------------------------------------------------------- */

static int signals = -1; /* a signalfd */

static void refuse_request(const char *verb)
{
	log_event(LOG_NOTICE, verb, "status", "refused", "error", "udsd is stopping",
		  NULL);
}

static void take_signal(int sig, int64_t now)
{
	bool stopping = shutdown_has_begun();

	if (sig == SIGTERM || sig == SIGINT)
		shutdown_signal(sig, now);
	else if (sig == SIGUSR1)
		status_log(now);
	else if (sig == SIGHUP && stopping)
		refuse_request("reload");
	else if (sig == SIGUSR2 && stopping)
		refuse_request("upgrade");
	else if (sig == SIGHUP)
		(void)reload_request();
	else if (sig == SIGUSR2)
		upgrade_request();
}

static void read_signals(struct watch *w, int64_t now)
{
	struct signalfd_siginfo info[16];
	ssize_t n = read(signals, info, sizeof(info));

	(void)w;
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*info); i++)
		take_signal((int)info[i].ssi_signo, now);
	children_changed();
}

/* ---- Parts that have no room of their own
 * -------------------------------------------------- */

/* One task at a time: a reload is over before the next one, or an upgrade, begins. */
static int64_t task_due(void)
{
	bool wanted = reload_is_wanted() || upgrade_is_wanted();

	return wanted && !reload_is_running() && !upgrade_is_running() ? 0 : CLOCK_NEVER;
}

static void task_tick(int64_t now)
{
	if (now < task_due())
		return;
	recheck_abandon(true);
	if (reload_is_wanted())
		reload_begin(now);
	else
		upgrade_begin(now);
}

static bool task_is_running(void)
{
	return shutdown_has_begun() || reload_is_running() || upgrade_is_running();
}

static int64_t rechecks_due(void)
{
	return task_is_running() ? CLOCK_NEVER : recheck_due();
}

static void rechecks_tick(int64_t now)
{
	if (!task_is_running())
		recheck_tick(now);
}

static int64_t instances_due(void)
{
	int64_t due = CLOCK_NEVER;

	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		due = clock_min(due, lifecycle_due(i));
	return due;
}

static void instances_tick(int64_t now)
{
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (lifecycle_due(i) <= now)
			lifecycle_tick(i, now);
}

static int64_t paths_due(void)
{
	return shutdown_has_begun() ? CLOCK_NEVER : pathwatch_due();
}

static void paths_tick(int64_t now)
{
	if (!shutdown_has_begun())
		pathwatch_tick(now);
}

static int64_t never_due(void)
{
	return CLOCK_NEVER;
}

/* Frees finished instances. Not while events may still name them. */
static void sweep(int64_t now)
{
	struct instance *i;

	(void)now;
	while ((i = services_take_finished()) != NULL) {
		pathwatch_forget(i);
		instance_free(i);
	}
}

static int64_t lost_due(void)
{
	return log_lost() > 0 ? clock_now() + NSEC_PER_SEC : CLOCK_NEVER;
}

static void lost_tick(int64_t now)
{
	(void)now;
	log_report_lost();
}

/* ---- The loop
 * ------------------------------------------------------------------------------ */

/* In the order of a turn. control comes behind all that can end a reload: it reports the
 * result. */
static const struct {
	int64_t (*due)(void);
	void (*tick)(int64_t now);
} parts[] = {
	{task_due, task_tick},
	{children_due, children_tick},
	{instances_due, instances_tick},
	{orphans_due, orphans_tick},
	{paths_due, paths_tick},
	{reload_due, reload_tick},
	{upgrade_due, upgrade_tick},
	{rechecks_due, rechecks_tick},
	{control_due, control_tick},
	{shutdown_due, shutdown_tick},
	{logger_due, logger_tick},
	{sdnotify_due, sdnotify_tick},
	{never_due, sweep},
	{lost_due, lost_tick},
};

#define PARTS (sizeof(parts) / sizeof(*parts))

static void run_turn(void)
{
	int64_t due = CLOCK_NEVER, now;

	for (size_t i = 0; i < PARTS; i++)
		due = clock_min(due, parts[i].due());
	events_wait(clock_timeout(clock_now(), due));
	now = clock_now();
	for (size_t i = 0; i < PARTS; i++)
		parts[i].tick(now);
}

/* ---- Start and end
 * --------------------------------------------------------------------------- */

static int open_all(bool to_syslog)
{
	static struct watch on_signals = {.ready = read_signals};
	int status;

	if (startup_limit() < 0)
		return startup_error(EX_OSERR, "read the limit of descriptors",
				     strerror(errno));
	status = startup_open();
	if (status != 0)
		return status;
	if (events_open() < 0 || watch_set(&on_signals, signals, true) < 0)
		return startup_error(EX_OSERR, "watch for events", strerror(errno));
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return startup_error(EX_OSERR, "become a subreaper", strerror(errno));
	pathwatch_open();
	control_open();
	if (logger_open(to_syslog) < 0)
		return startup_error(EX_OSERR, "start the log process", strerror(errno));
	return 0;
}

/* From here on the daemon has nothing to do with its caller's terminal. If it cannot say
 * that it is ready its parent would wait without end; one that waits no more (EPIPE) is
 * no reason to stop. */
static int say_ready(int fd)
{
	sdnotify_ready();
	if (fd < 0)
		return 0;
	if (write(fd, "", 1) < 0 && errno != EPIPE)
		return startup_error(EX_OSERR, "report the start", strerror(errno));
	(void)dup2(STDIN_FILENO, STDERR_FILENO);
	close(fd);
	return 0;
}

static void close_all(void)
{
	struct instance *i;

	while ((i = services_take()) != NULL) {
		if (i->listener.fd >= 0)
			listener_remove(i->service, &i->listener);
		instance_free(i);
	}
	if (services_pidfile >= 0)
		pidfile_release(services_config()->pid_file, services_pidfile);
	services_set_config(NULL);
	pathwatch_close();
	events_close();
	close(signals);
}

static int supervise(int ready_fd)
{
	int status;

	log_open(log_channel_own.in, services_config()->log_level, NULL);
	status_open();
	startup_serve(clock_now());
	status = say_ready(ready_fd);
	if (status != 0)
		return status;
	while (!shutdown_is_over())
		run_turn();
	sdnotify_tick(clock_now());
	logger_close();
	return 0;
}

int supervisor_run(struct loaded *config, const struct supervisor_options *options)
{
	int status;

	services_origin = options->origin;
	services_set_config(config);
	loaded_release(config);
	sdnotify_open();
	signals = startup_signals();
	if (signals < 0)
		return startup_error(EX_OSERR, "set signals up", strerror(errno));
	status = open_all(options->to_syslog);
	if (status == 0)
		status = supervise(options->ready_fd);
	close_all();
	return status;
}
