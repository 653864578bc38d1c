/*
 * startup.c: signals and limits as a parent may have left them, the pid file, then the
 * sockets: passed to us, or made.
 */
#include "supervisor/startup.h"

#include "upgrade/adopt.h"
#include "supervisor/children.h"
#include "common/clock.h"
#include "service/lifecycle.h"
#include "upgrade/listen_fds.h"
#include "common/log.h"
#include "service/orphans.h"
#include "common/pidfile.h"
#include "service/problem.h"
#include "service/services.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE NSEC_PER_SEC /* for workers of a supervisor that was killed */

int startup_error(int status, const char *what, const char *why)
{
	fprintf(stderr, "udsd: %s: %s\n", what, why);
	return status;
}

/* ---- What a parent has left
 * -------------------------------------------------------------- */

/* By hand: glibc refuses to touch two signals of its own, which a parent may have
 * ignored. All bytes zero is SIG_DFL in the kernel's structure. */
static void reset_signal(int sig)
{
	static const uint64_t action[8];

	(void)syscall(SYS_rt_sigaction, sig, action, NULL, sizeof(uint64_t));
}

int startup_signals(void)
{
	sigset_t all, read_set;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -1;
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		reset_signal(sig);
	sigemptyset(&read_set);
	for (const int *sig =
		     (const int[]){SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, 0};
	     *sig != 0; sig++)
		sigaddset(&read_set, *sig);
	return signalfd(-1, &read_set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int startup_limit(void)
{
	struct rlimit raised;

	if (getrlimit(RLIMIT_NOFILE, &instance_nofile) < 0)
		return -1;
	raised = instance_nofile;
	raised.rlim_cur = raised.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &raised);
	return 0;
}

/* ---- Pid file and sockets
 * ------------------------------------------------------------------ */

static int open_pidfile(void)
{
	const char *path = services_config()->pid_file;

	services_pidfile = listen_fds_pidfile();
	if (services_pidfile >= 0 && pidfile_is_at(path, services_pidfile))
		return 0;
	if (services_pidfile >= 0) /* the config has another now */
		pidfile_drop(services_pidfile);
	services_pidfile = -1;
	if (*path == '\0')
		return 0;
	services_pidfile = pidfile_take(path);
	if (services_pidfile >= 0 ||
	    listen_fds_is_upgrade()) /* rather none than no udsd */
		return 0;
	if (errno == EWOULDBLOCK)
		return startup_error(
			EX_UNAVAILABLE, path,
			"udsd runs already: stop it, or use another pid-file");
	return startup_error(EX_OSERR, path, strerror(errno));
}

/* What is wrong with a service, and what follows. Faults of its options have been said
 * already. */
static void report_problem(const struct instance *i)
{
	const char *name = i->service->name, *text = problem_text(i);
	int place = (int)problem_place(text);
	const char *state = i->problem.kind == PROBLEM_DISPLACED ? "displaced" : "failed";
	int seconds =
		(int)((problem_is_path(i) ? PROBLEM_LOOK : PROBLEM_RETRY) / NSEC_PER_SEC);

	if (service_can_run(i->service))
		fprintf(stderr, "%.*s%serror: %s\n", place, text,
			place == 0 ? "udsd: " : "", text + place);
	if (instance_is_control(i))
		fprintf(stderr, "udsd: the control socket: %s, tried again every %d s\n",
			state, seconds);
	else if (services_config()->control.socket == NULL)
		fprintf(stderr,
			"udsd: service %s: %s, tried again every %d s and at a reload\n",
			name, state, seconds);
	else
		fprintf(stderr,
			"udsd: service %s: %s, tried again every %d s, or now by: "
			"udsctl enable %s\n",
			name, state, seconds, name);
}

/* A command's only socket is to be there. */
static int socket_error(const struct instance *i)
{
	fprintf(stderr, "udsd: error: %s\n", problem_text(i));
	return i->problem.kind == PROBLEM_DISPLACED ? EX_UNAVAILABLE : EX_OSERR;
}

/* Opens the socket of an instance that is to have one, or notes why that cannot be. */
static void open_listener(struct instance *i, int64_t until)
{
	struct failure f = SUCCESS;
	bool passed = listen_fds_listener(i->service, &i->listener) == 0;

	if (!service_can_run(i->service))
		(void)problem_set(i, &i->service->problem);
	else if (!passed)
		f = listener_open(i->service, &i->listener, until);
	if (!failed(f))
		return;
	i->seen = LISTENER_GONE;
	(void)problem_set_failure(i, f);
}

/* The supervisor with the lock of the pid file may take over what another has just left.
 * A problem of one service does not affect the others. */
static int open_listeners(void)
{
	int64_t until = services_pidfile >= 0 ? clock_now() + PATIENCE : 0;
	bool needed = services_origin.source->command != NULL && !listen_fds_is_upgrade();

	for (struct instance *i = services_first(); i != NULL; i = i->next) {
		if (!i->enabled)
			continue;
		open_listener(i, until);
		if (i->problem.kind != PROBLEM_NONE && needed)
			return socket_error(i);
		if (i->problem.kind != PROBLEM_NONE)
			report_problem(i);
	}
	services_changed();
	return 0;
}

int startup_open(void)
{
	const struct config *c = services_config();
	int status;

	for (size_t n = 0; n < config_sockets(c); n++) {
		struct instance *i =
			lifecycle_new(services_loaded(), config_socket(c, n));

		if (i == NULL)
			return startup_error(EX_OSERR, "make an instance",
					     strerror(errno));
		services_add(i);
	}
	status = open_pidfile();
	return status == 0 ? open_listeners() : status;
}

/* ---- To serve
 * ------------------------------------------------------------------------------ */

/* Owner, mode and backlog of sockets that were made by an earlier process of ours. */
static void settle_listeners(void)
{
	for (struct instance *i = services_first(); i != NULL; i = i->next) {
		struct failure f = SUCCESS;

		if (i->listener.fd >= 0 && service_can_run(i->service))
			f = listener_apply(i->service, &i->listener);
		if (failed(f))
			log_event(LOG_WARNING, "listen", "service", i->service->name,
				  "step", f.operation, "error", strerror(f.error), NULL);
	}
}

static void log_start(void)
{
	struct log_line line;

	log_begin(&line, LOG_NOTICE, listen_fds_is_upgrade() ? "upgrade" : "start");
	if (listen_fds_is_upgrade())
		log_str(&line, "status", "done");
	log_str(&line, "version", PACKAGE_VERSION);
	log_num(&line, "services", (int64_t)services_listening());
	log_end(&line);
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (i->problem.kind != PROBLEM_NONE)
			problem_log(i);
		else if (i->listener.fd >= 0)
			listener_log(i->service);
}

void startup_serve(int64_t now)
{
	settle_listeners();
	adopt_all(now);
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		orphans_adopt(i, 0, children_is_ours);
	log_start();
	listen_fds_close();
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		instance_watch(i, now);
}
