/*
 * children.c: tells whose end it is.
 */
#include "children.h"

#include "control.h"
#include "log.h"
#include "orphan.h"
#include "privilege.h"
#include "reload.h"
#include "stop.h"
#include "upgrade.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define REAP_A_TURN 64

static struct unit *unit_of_worker(const struct supervisor *sup, pid_t pid)
{
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->worker == pid)
			return u;
	return NULL;
}

static bool is_helper(const struct supervisor *sup, pid_t pid)
{
	return pid == sup->logger || pid == sup->loader.pid || pid == sup->probe ||
	       control_is_writer(pid);
}

bool children_is_ours(const void *arg, pid_t pid)
{
	const struct supervisor *sup = arg;

	return is_helper(sup, pid) || unit_of_worker(sup, pid) != NULL;
}

static void worker_ended(struct supervisor *sup, struct unit *u, int status,
			 const struct rusage *usage, int64_t now)
{
	bool inetd = u->inetd;
	pid_t pid = u->worker;

	unit_worker_ended(u, &sup->shared, status, usage, now);
	if (!inetd) {
		orphan_adopt(u, pid, children_is_ours, sup);
		stop_orphans(sup, now);
	}
	if (u->retiring)
		unit_retire(u, &sup->shared, u->order, now);
	unit_watch(u, &sup->shared, now);
}

static void helper_ended(struct supervisor *sup, pid_t pid, int status, int64_t now)
{
	struct log_line line;

	if (pid == sup->loader.pid) {
		reload_loaded(sup, status, now);
		return;
	}
	if (pid == sup->probe) {
		upgrade_probed(sup, status, now);
		return;
	}
	if (control_writer_ended(pid))
		return;
	sup->logger = 0;
	log_begin(&line, LOG_WARNING, "logger");
	log_num(&line, "pid", pid);
	log_status(&line, status);
	log_end(&line);
}

/* Waits for one of ours that has ended; one that was stopped is as good as dead, except that a
 * handler may do as it likes. */
static void take_ours(struct supervisor *sup, struct unit *u, pid_t pid, int64_t now)
{
	siginfo_t info = {.si_pid = 0};
	struct rusage usage;
	int status;

	if (u != NULL && u->inetd &&
	    u->ended && /* its group, while the number is its own */
	    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid == pid)
		(void)privilege_signal(u->uid, u->gid, &pid, 1, SIGKILL, false);
	if (wait4(pid, &status, WNOHANG | WUNTRACED, &usage) != pid)
		return;
	if (WIFSTOPPED(status) && u != NULL && u->inetd)
		return;
	if (WIFSTOPPED(status))
		(void)kill(pid, SIGKILL);
	else if (u != NULL)
		worker_ended(sup, u, status, &usage, now);
	else
		helper_ended(sup, pid, status, now);
}

/* Somebody's handler, which may be that of a worker whose own end we have not seen: then this one
 * comes first. `fresh`: this has not been looked at since the last wait for events. */
static void take_other(struct supervisor *sup, pid_t pid, bool fresh, int64_t now)
{
	if (orphan_bury(pid))
		return;
	for (struct unit *u = sup->units; fresh && u != NULL; u = u->next)
		if (u->worker != 0)
			take_ours(sup, u, u->worker, now);
	if (!orphan_bury(pid))
		(void)waitpid(pid, NULL, WNOHANG | WUNTRACED);
}

void children_adopt(struct supervisor *sup, int64_t now)
{
	for (struct unit *u = sup->units; u != NULL; u = u->next) {
		if (now < u->adopt_due)
			continue;
		orphan_adopt(u, 0, children_is_ours, sup);
		stop_orphans(sup, now);
	}
}

bool children_reap(struct supervisor *sup, int64_t now)
{
	siginfo_t info;
	bool fresh = true;

	for (int i = 0; i < REAP_A_TURN; i++) {
		struct unit *u;

		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0)
			return errno == EINTR;
		if (info.si_pid == 0)
			return false;
		u = unit_of_worker(sup, info.si_pid);
		if (u != NULL || is_helper(sup, info.si_pid)) {
			take_ours(sup, u, info.si_pid, now);
		} else if (info.si_code == CLD_STOPPED) { /* a handler may stop itself */
			(void)waitpid(info.si_pid, NULL, WNOHANG | WUNTRACED);
		} else {
			take_other(sup, info.si_pid, fresh, now);
			fresh = false;
		}
	}
	return true;
}
