/*
 * listener.c: creates and removes socket paths.
 *
 * Bound but not listening refuses connections, so owner and mode are right before the first client
 * can connect. The directory is locked (flock) from the look at the path to listen(), so that two
 * supervisors do not take each other's new socket for a stale one.
 */
#include "listener.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SIOCUNIXFILE
# define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif
#ifndef SO_PASSRIGHTS
# define SO_PASSRIGHTS 83
#endif

#define LOCK_TIMEOUT \
 NSEC_PER_SEC /* others may hold the lock for ever: it is only a courtesy */

static socklen_t fill_address(const char *socket, struct sockaddr_un *sun)
{
	size_t len = strlen(socket);

	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(sun->sun_path, socket, len);
	if (*socket == '@')
		sun->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
			   (*socket != '@'));
}

int listener_make_parents(const char *path, mode_t mode)
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

/* The directory of a path; *name is what follows it. */
static int open_parent(const char *path, const char **name)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	*name = slash + 1;
	return open(*dir != '\0' ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void lock_directory(int dir)
{
	int64_t until = clock_now() + LOCK_TIMEOUT;

	while (flock(dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK &&
	       clock_now() < until)
		(void)poll(NULL, 0, 5);
}

/* Whether a process serves the socket of this name in the directory, asked without waking it: only
 * the kinds are compared (EPROTOTYPE), before anything is queued. 1, 0, or -1 and errno: unknown.
 * Asked from within the directory: its path may lead elsewhere by now. */
static int is_served(int dir, const char *name)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = snprintf(sun.sun_path, sizeof(sun.sun_path), "./%s", name);

	if (fd < 0)
		return -1;
	rc = rc < (int)sizeof(sun.sun_path) ? fchdir(dir) : -1;
	if (rc == 0)
		rc = connect(fd, (const struct sockaddr *)&sun, sizeof(sun));
	if (chdir("/") < 0)
		rc = -1;
	if (rc == 0 || errno == EPROTOTYPE)
		rc = 1;
	else
		rc = errno == ECONNREFUSED || errno == ENOENT ? 0 : -1;
	close(fd);
	return rc;
}

/* Makes room for the path: nothing there, or a stale socket, which is removed. */
static int clear_path(int dir, const char *name, const char **step)
{
	struct stat st;

	*step = "look at the path";
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	*step = "something that is not a socket is in the way";
	errno = EADDRINUSE;
	if (!S_ISSOCK(st.st_mode))
		return -1;
	switch (is_served(dir, name)) {
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

/* An O_PATH descriptor of what the socket is bound to, by the socket if root, else by its name. */
static int open_bound(int fd, int dir, const char *name)
{
	int path = ioctl(fd, SIOCUNIXFILE);
	struct stat st;

	if (path >= 0)
		return path;
	path = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path >= 0 &&
	    (fstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())) {
		close(path);
		errno = EADDRINUSE;
		return -1;
	}
	return path;
}

/* The directory's default access list would add to the mode, and its setgid bit give its group. */
static int set_owner_and_mode(const struct service *s, int path)
{
	gid_t group = s->socket_group != (gid_t)-1 ? s->socket_group : getegid();
	char name[32];
	struct stat st;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", path);
	if (removexattr(name, "system.posix_acl_access") < 0 && errno != ENODATA &&
	    errno != EOPNOTSUPP)
		return -1;
	if (fstat(path, &st) < 0)
		return -1;
	if ((s->socket_owner != (uid_t)-1 || st.st_gid != group) &&
	    fchownat(path, "", s->socket_owner, group, AT_EMPTY_PATH) < 0)
		return -1;
	return chmod(name, s->socket_mode);
}

/* Gives what is bound its owner, and notes its identity. */
static int own_path(const struct service *s, struct listener *l, int dir,
		    const char *name, const char **step)
{
	int path = open_bound(l->fd, dir, name);
	struct stat st, named;
	int rc;

	*step = "set the owner and mode";
	if (path < 0)
		return -1;
	rc = fstat(path, &st);
	l->device = st.st_dev;
	l->inode = st.st_ino;
	if (rc == 0)
		rc = set_owner_and_mode(s, path);
	close(path);
	if (rc == 0 && (fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
			named.st_dev != st.st_dev || named.st_ino != st.st_ino)) {
		*step = "somebody replaced the directory meanwhile";
		errno = EADDRINUSE;
		rc = -1;
	}
	return rc;
}

static int open_path(const struct service *s, struct listener *l,
		     const struct sockaddr_un *sun, socklen_t len, const char **step)
{
	const char *name;
	int dir, saved, rc = -1;

	*step = "make the directory";
	if (listener_make_parents(s->socket, s->directory_mode) < 0)
		return -1;
	*step = "open the directory";
	dir = open_parent(s->socket, &name);
	if (dir < 0)
		return -1;
	lock_directory(dir);
	if (clear_path(dir, name, step) < 0)
		goto out;
	*step = "bind";
	if (bind(l->fd, (const struct sockaddr *)sun, len) < 0)
		goto out;
	rc = own_path(s, l, dir, name, step);
	if (rc == 0) {
		*step = "listen";
		rc = listen(l->fd, s->backlog);
	}
	saved = errno;
	if (rc < 0)
		listener_remove(s, l);
	errno = saved;
out:
	saved = errno;
	close(dir);
	errno = saved;
	return rc;
}

int listener_open(const struct service *s, struct listener *l, const char **step)
{
	struct sockaddr_un sun;
	socklen_t len = fill_address(s->socket, &sun);
	int saved, off = s->pass_fds, rc;

	*step = "create a socket";
	*l = (struct listener){
		.fd = socket(AF_UNIX, s->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
	if (l->fd < 0)
		return -1;
	/* Else a client could park descriptors here; older kernels do not know it. */
	(void)setsockopt(l->fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
	if (*s->socket == '@') {
		*step = "bind";
		rc = bind(l->fd, (const struct sockaddr *)&sun, len);
		if (rc == 0) {
			*step = "listen";
			rc = listen(l->fd, s->backlog);
		}
	} else {
		rc = open_path(s, l, &sun, len, step);
	}
	saved = errno;
	if (rc < 0)
		listener_close(l);
	errno = saved;
	return rc;
}

void listener_remove(const struct service *s, const struct listener *l)
{
	const char *name;
	struct stat st;
	int dir;

	if (*s->socket == '@')
		return;
	dir = open_parent(s->socket, &name);
	if (dir < 0)
		return;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == l->device && st.st_ino == l->inode)
		(void)unlinkat(dir, name, 0);
	close(dir);
}

void listener_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}
