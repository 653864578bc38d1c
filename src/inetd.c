/*
 * inetd.c: a child of the supervisor that becomes a handler. It drops its privileges in a process of
 * its own memory (no vfork), as a worker does.
 */
#include "inetd.h"

#include "handler.h"
#include "log.h"
#include "privilege.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FAR 64 /* descriptors from here on are in nobody's way */

/* Only returns if something fails: *step. */
static void become(const struct service *s, int listener, const struct rlimit *nofile,
		   pid_t parent, const char **step)
{
	title_set(s->name);
	*step = "session";
	if (setsid() < 0)
		return;
	*step = "limit";
	if (setrlimit(RLIMIT_NOFILE, nofile) < 0 || privilege_drop(s, step) < 0)
		return;
	*step = "signal at the end of udsd"; /* it is forgotten when ids change */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
		return;
	if (getppid() != parent)
		_exit(0);
	*step = "listening socket"; /* it may have been left otherwise by the last one */
	if (fcntl(listener, F_SETFL, O_RDWR) < 0 || dup2(STDIN_FILENO, STDERR_FILENO) < 0)
		return;
	(void)handler_become(s, listener, step);
}

pid_t inetd_start(const struct service *s, int listener, int log,
		  const struct rlimit *nofile)
{
	pid_t parent = getpid(), pid = fork();
	const char *step = "descriptors";

	if (pid != 0)
		return pid;
	log = fcntl(log, F_DUPFD_CLOEXEC, FAR);
	log_open(log, s->log_level, s->name);
	become(s, listener, nofile, parent, &step);
	log_event(LOG_ERR, "fail", "service", s->name, "handler", s->handler[0], "step",
		  step, "error", strerror(errno), NULL);
	_exit(1);
}
