/*
 * place.c: the directory that a socket path is in, and what stands at the path.
 */
#include "place.h"

#include "clock.h"
#include "unixsock.h"

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

/* Whoever may read the directory may hold the lock for ever: it is only a courtesy. */
#define LOCK_TIME (100 * NSEC_PER_MSEC)
#define LOCK_PAUSE (60 * NSEC_PER_SEC) /* without a wait, after one that was in vain */

int place_make_parents(const char *path, mode_t mode)
{
	mode_t old = umask(0);
	char dir[PATH_MAX];
	int rc = 0;

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *c = strchr(dir + 1, '/'); c != NULL && rc == 0;
	     c = strchr(c + 1, '/')) {
		*c = '\0';
		if (mkdir(dir, mode) < 0 && errno != EEXIST && access(dir, F_OK) < 0)
			rc = -1;
		*c = '/';
	}
	umask(old);
	return rc;
}

int place_open_parent(const char *path, const char **name)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	*name = slash + 1;
	return open(*dir != '\0' ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void place_lock(int dir)
{
	static int64_t hopeless; /* until when nobody is waited for */
	int64_t now = clock_now(), until = now + LOCK_TIME;

	while (flock(dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK &&
	       now >= hopeless) {
		if (now >= until)
			hopeless = now + LOCK_PAUSE;
		(void)poll(NULL, 0, 5);
		now = clock_now();
	}
}

/* Whether a process serves the socket of this name in the directory, asked without waking it: only
 * the kinds are compared (EPROTOTYPE), before anything is queued. 1, 0, or -1 and errno: unknown.
 * Asked from within the directory: its path may lead elsewhere by now. */
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

int place_clear(int dir, const char *name, int64_t until, const char **step)
{
	int served;

	struct stat st;

	*step = "look at the path";
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	*step = "something that is not a socket is in the way";
	errno = EADDRINUSE;
	if (!S_ISSOCK(st.st_mode))
		return -1;
	while ((served = is_served(dir, name)) == 1 && clock_now() < until)
		(void)poll(NULL, 0, 5);
	switch (served) {
	case 0:
		*step = "remove the stale socket";
		return unlinkat(dir, name, 0);
	case 1:
		*step = "served by another process";
		errno = EADDRINUSE;
		return -1;
	default:
		*step = "ask whether the path is served";
		return -1;
	}
}
