/*
 * sockpath.c: what stands at a socket path, asked and removed within its directory.
 */
#include "service/sockpath.h"

#include "common/clock.h"
#include "common/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Any user who may read the directory may hold the lock forever, so it is waited for only
 * briefly. */
#define LOCK_TIME (100 * NSEC_PER_MSEC)
#define LOCK_PAUSE (60 * NSEC_PER_SEC) /* without a wait, after one without effect */

void sockpath_lock(int dir)
{
	static int64_t give_up_until; /* until when no holder is waited for */
	int64_t now = clock_now(), until = now + LOCK_TIME;

	while (flock(dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK &&
	       now >= give_up_until) {
		if (now >= until)
			give_up_until = now + LOCK_PAUSE;
		(void)poll(NULL, 0, 5);
		now = clock_now();
	}
}

/* Whether a process serves the socket of this name in the directory, asked without waking
 * it: only the kinds are compared (EPROTOTYPE), before a connection is pending. 1, 0, or
 * -1 and errno: unknown. Asked from within the directory: its path may lead elsewhere by
 * now. */
static int is_served(int dir, const char *name)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool fits = snprintf(path, sizeof(path), "./%s", name) < (int)sizeof(path);
	struct sockaddr_un sun;
	socklen_t len = unixsock_address(path, &sun);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -1;
	rc = fits ? fchdir(dir) : -1;
	if (rc == 0)
		rc = connect(fd, (const struct sockaddr *)&sun, len);
	if (chdir("/") < 0)
		rc = -1;
	if (rc == 0 || errno == EPROTOTYPE)
		rc = 1;
	else
		rc = errno == ECONNREFUSED || errno == ENOENT ? 0 : -1;
	close(fd);
	return rc;
}

struct failure sockpath_clear(int dir, const char *name, int64_t until)
{
	int served;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? SUCCESS : failure("look at the path");
	if (!S_ISSOCK(st.st_mode))
		return failure_of("something that is not a socket is in the way",
				  EADDRINUSE);
	while ((served = is_served(dir, name)) == 1 && clock_now() < until)
		(void)poll(NULL, 0, 5);
	if (served < 0)
		return failure("ask whether the path is served");
	if (served > 0)
		return failure_of("served by another process", EADDRINUSE);
	return unlinkat(dir, name, 0) < 0 ? failure("remove the stale socket") : SUCCESS;
}
