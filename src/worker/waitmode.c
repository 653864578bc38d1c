/*
 * waitmode.c: the handler of a service with wait = true.
 *
 * A child of the supervisor becomes it. As a worker does, it drops its privileges in
 * memory of its own, and only then executes.
 */
#include "worker/waitmode.h"

#include "common/failure.h"
#include "common/log.h"
#include "common/peer.h"
#include "worker/setup.h"
#include "worker/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_LISTENER = SETUP_FIRST, WAIT_LOG, WAIT_FDS };

/* Returns only if it fails. */
static struct failure waitmode_execute(const struct service *s,
				       const struct rlimit *nofile, pid_t parent)
{
	struct failure f = setup_process(s, nofile);

	if (failed(f))
		return f;
	/* the kernel forgets it when ids change */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
		return failure("signal at the end of udsd");
	if (getppid() != parent)
		_exit(0);
	if (fcntl(WAIT_LISTENER, F_SETFL, O_RDWR) <
	    0) /* the last handler may have changed it */
		return failure("listening socket");
	return spawn_execute(s, WAIT_LISTENER);
}

/* Only the client that has connected sees end of file, not those that come later. */
static void waitmode_close_next(const struct service *s, int listener)
{
	int fd = -1;

	if (fcntl(listener, F_SETFL, O_RDWR | O_NONBLOCK) == 0)
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		peer_reject(fd, s->type, NULL);
}

pid_t waitmode_start(const struct service *s, int listener, int log,
		     const struct rlimit *nofile)
{
	int from[WAIT_FDS] = {[WAIT_LISTENER] = listener, [WAIT_LOG] = log};
	pid_t parent = getpid(), pid = fork();
	struct failure f;
	bool is_stderr;

	if (pid != 0)
		return pid;
	log_open(log, s->log_level, s->name);
	if (setup_descriptors(from, WAIT_FDS, STDIN_FILENO) < 0) {
		f = failure("descriptors");
	} else {
		listener = WAIT_LISTENER;
		log_open(WAIT_LOG, s->log_level, s->name);
		f = waitmode_execute(s, nofile, parent);
	}
	is_stderr = strcmp(f.operation, "stderr") == 0 && s->stderr_target.path != NULL;
	log_event(LOG_ERR, "fail", "service", s->name, is_stderr ? "stderr" : "handler",
		  is_stderr ? s->stderr_target.path : s->handler[0], "step", f.operation,
		  "error", strerror(f.error), NULL);
	if (!spawn_is_busy(f.error)) /* else the client waits for the next try */
		waitmode_close_next(s, listener);
	_exit(1);
}
