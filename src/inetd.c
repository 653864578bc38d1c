/*
 * inetd.c: a child of the supervisor that becomes a handler. It drops its privileges in a process of
 * memory of its own, as a worker does.
 */
#include "inetd.h"

#include "handler.h"
#include "log.h"
#include "peer.h"
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER = 3, LOG, FDS };

/* Its user may stop this process: from before then it holds nothing of others. */
static int place_descriptors(int *listener, int log)
{
	int from = fcntl(*listener, F_DUPFD_CLOEXEC, FDS);

	log = fcntl(log, F_DUPFD_CLOEXEC, FDS);
	if (from < 0 || log < 0 || dup3(from, LISTENER, O_CLOEXEC) < 0)
		return -1;
	*listener = LISTENER;
	return dup3(log, LOG, O_CLOEXEC) < 0 ? -1 : close_range(FDS, ~0U, 0);
}

/* Only returns if something fails: *step. */
static void become(const struct service *s, const struct rlimit *nofile, pid_t parent,
		   const char **step)
{
	if (setup_process(s, nofile, step) < 0)
		return;
	*step = "signal at the end of udsd"; /* it is forgotten when ids change */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
		return;
	if (getppid() != parent)
		_exit(0);
	*step = "listening socket"; /* it may have been left otherwise by the last one */
	if (fcntl(LISTENER, F_SETFL, O_RDWR) < 0 || dup2(STDIN_FILENO, STDERR_FILENO) < 0)
		return;
	(void)spawn_execute(s, LISTENER, step);
}

/* The client who came sees the end, not who comes later. */
static void refuse_next(const struct service *s, int listener)
{
	int fd = -1;

	if (fcntl(listener, F_SETFL, O_RDWR | O_NONBLOCK) == 0)
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		peer_refuse(fd, s->type, NULL);
}

pid_t waitmode_start(const struct service *s, int listener, int log,
		     const struct rlimit *nofile)
{
	pid_t parent = getpid(), pid = fork();
	const char *step = "descriptors";
	int saved;

	if (pid != 0)
		return pid;
	log_open(log, s->log_level, s->name);
	if (place_descriptors(&listener, log) == 0) {
		log_open(LOG, s->log_level, s->name);
		become(s, nofile, parent, &step);
	}
	saved = errno;
	log_event(LOG_ERR, "fail", "service", s->name, "handler", s->handler[0], "step",
		  step, "error", strerror(saved), NULL);
	if (!spawn_is_busy(saved)) /* else it waits for the next try */
		refuse_next(s, listener);
	_exit(1);
}
