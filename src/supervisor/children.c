/*
 * children.c: waits for the supervisor's children, and reports each to the file that
 * keeps it.
 */
#include "supervisor/children.h"

#include "common/clock.h"
#include "control/control.h"
#include "service/lifecycle.h"
#include "supervisor/logger.h"
#include "service/orphans.h"
#include "common/privilege.h"
#include "service/recheck.h"
#include "service/reload.h"
#include "service/services.h"
#include "upgrade/upgrade.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define REAP_A_TURN 64

/* Processes of the rooms, each of which knows its own. */
static const struct {
	bool (*is)(pid_t pid);
	bool (*exited)(pid_t pid, int status, int64_t now);
} helpers[] = {{logger_is, logger_exited},
	       {reload_is, reload_exited},
	       {recheck_is, recheck_exited},
	       {upgrade_is, upgrade_exited},
	       {control_is_writer, control_writer_exited}};

#define HELPERS (sizeof(helpers) / sizeof(*helpers))

static bool unreaped = true; /* children may have exited */

static bool is_helper(pid_t pid)
{
	size_t i = 0;

	while (i < HELPERS && !helpers[i].is(pid))
		i++;
	return i < HELPERS;
}

bool children_is_ours(pid_t pid)
{
	return pid > 0 && (is_helper(pid) || services_of_worker(pid) != NULL);
}

void children_changed(void)
{
	unreaped = true;
}

static void worker_exited(struct instance *i, int status, const struct rusage *usage,
			  int64_t now)
{
	bool was_worker = !i->wait_handler;
	pid_t pid = i->worker;

	lifecycle_worker_ended(i, status, usage, now);
	if (was_worker) {
		orphans_adopt(i, pid, children_is_ours);
		orphans_tick(now);
	}
	lifecycle_go_on(i, now);
}

static void helper_exited(pid_t pid, int status, int64_t now)
{
	size_t i = 0;

	while (i < HELPERS && !helpers[i].exited(pid, status, now))
		i++;
}

/* The group of a handler that accepts is ended with it, while the number is its own. */
static void end_handlers_group(const struct instance *i, pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	if (i->handler_ended &&
	    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid == pid)
		(void)privilege_signal(i->uid, i->gid, &pid, 1, SIGKILL, false);
}

/* Reaps one of ours that has exited. One that was stopped is killed, except that a
 * handler may do as it likes. */
static void reap_ours(struct instance *i, pid_t pid, int64_t now)
{
	bool is_handler = i != NULL && i->wait_handler;
	struct rusage usage;
	int status;

	if (is_handler)
		end_handlers_group(i, pid);
	if (wait4(pid, &status, WNOHANG | WUNTRACED, &usage) != pid)
		return;
	if (WIFSTOPPED(status) && is_handler)
		return;
	if (WIFSTOPPED(status))
		(void)kill(pid, SIGKILL);
	else if (i != NULL)
		worker_exited(i, status, &usage, now);
	else
		helper_exited(pid, status, now);
}

/* A handler. Its worker may have exited, too, and not been reaped yet: then this one
 * comes first. `fresh`: this has not been looked at since the last wait for events. */
static void reap_other(pid_t pid, bool fresh, int64_t now)
{
	if (orphans_reap(pid))
		return;
	for (struct instance *i = services_first(); fresh && i != NULL; i = i->next)
		if (i->worker != 0)
			reap_ours(i, i->worker, now);
	if (!orphans_reap(pid))
		(void)waitpid(pid, NULL, WNOHANG | WUNTRACED);
}

/* Reaps a few. True if there may be more. */
static bool reap(int64_t now)
{
	siginfo_t info;
	bool fresh = true;

	for (int n = 0; n < REAP_A_TURN; n++) {
		struct instance *i;

		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0)
			return errno == EINTR;
		if (info.si_pid == 0)
			return false;
		i = services_of_worker(info.si_pid);
		if (i != NULL || is_helper(info.si_pid)) {
			reap_ours(i, info.si_pid, now);
		} else if (info.si_code == CLD_STOPPED) { /* a handler may stop itself */
			(void)waitpid(info.si_pid, NULL, WNOHANG | WUNTRACED);
		} else {
			reap_other(info.si_pid, fresh, now);
			fresh = false;
		}
	}
	return true;
}

int64_t children_due(void)
{
	int64_t due = unreaped ? 0 : CLOCK_NEVER;

	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		due = clock_min(due, i->adopt_due);
	return due;
}

void children_tick(int64_t now)
{
	unreaped = unreaped && reap(now);
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (now >= i->adopt_due)
			orphans_adopt(i, 0, children_is_ours);
}
