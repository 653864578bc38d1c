/*
 * listener.c: creates and removes socket paths.
 *
 * Bound but not listening refuses connections, so owner and mode are right before the
 * first client can connect. The directory is locked (flock) from the look at the path to
 * listen(), so that two supervisors do not take each other's new socket for a stale one.
 */
#include "service/listener.h"

#include "common/clock.h"
#include "common/directory.h"
#include "common/log.h"
#include "service/sockpath.h"
#include "common/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SIOCUNIXFILE
# define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

/* An O_PATH descriptor of what the socket is bound to, by the socket if root, else by its
 * name. */
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

/* The directory's default access list would add to the mode, and its setgid bit give its
 * group. What the new mode does not grant goes before the owner changes: the socket may
 * be in use. */
static int set_owner_and_mode(const struct service *s, int path)
{
	uid_t owner = s->socket_owner != (uid_t)-1 ? s->socket_owner : geteuid();
	gid_t group = s->socket_group != (gid_t)-1 ? s->socket_group : getegid();
	char name[32];
	struct stat st;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", path);
	if (removexattr(name, "system.posix_acl_access") < 0 && errno != ENODATA &&
	    errno != EOPNOTSUPP)
		return -1;
	if (fstat(path, &st) < 0)
		return -1;
	if ((st.st_mode & 07777 & ~s->socket_mode) != 0 &&
	    chmod(name, st.st_mode & s->socket_mode) < 0)
		return -1;
	if ((st.st_uid != owner || st.st_gid != group) &&
	    fchownat(path, "", owner, group, AT_EMPTY_PATH) < 0)
		return -1;
	return chmod(name, s->socket_mode);
}

static const char set_owner_operation[] = "set the owner and mode";

static bool is_same_inode(const struct stat *st, dev_t device, ino_t inode)
{
	return st->st_dev == device && st->st_ino == inode;
}

/* Gives what is bound its owner, and notes its identity. */
static struct failure own_path(const struct service *s, struct listener *l, int dir,
			       const char *name)
{
	int path = open_bound(l->fd, dir, name);
	struct failure f = SUCCESS;
	struct stat st = {0}, named;

	if (path < 0)
		return failure(set_owner_operation);
	if (fstat(path, &st) < 0 || set_owner_and_mode(s, path) < 0)
		f = failure(set_owner_operation);
	l->device = st.st_dev;
	l->inode = st.st_ino;
	close(path);
	if (!failed(f) && (fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
			   !is_same_inode(&named, l->device, l->inode)))
		f = failure_of("another process replaced the directory", EADDRINUSE);
	return f;
}

/* Removes a name of the directory if it is the socket. */
static void remove_name(const struct listener *l, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
	    is_same_inode(&st, l->device, l->inode))
		(void)unlinkat(dir, name, 0);
}

/* What bind() makes has a narrow mode: a connect(2) that a wider one allowed could be
 * delayed until we listen. */
static struct failure bind_at(const struct service *s, struct listener *l, int dir,
			      const char *name, int64_t until)
{
	int spare = fcntl(dir, F_DUPFD_CLOEXEC, 0); /* for what we are about to bind */
	struct sockaddr_un sun;
	socklen_t len = unixsock_address(s->socket, &sun);
	struct failure f;

	if (spare < 0)
		return failure("open the directory");
	f = sockpath_clear(dir, name, until);
	if (!failed(f) && (fchmod(l->fd, s->socket_mode & (S_IRUSR | S_IWUSR)) < 0 ||
			   bind(l->fd, (const struct sockaddr *)&sun, len) < 0))
		f = failure("bind");
	close(spare);
	if (failed(f))
		return f;
	f = own_path(s, l, dir, name);
	if (!failed(f) && listen(l->fd, s->backlog) < 0)
		f = failure("listen");
	if (failed(f))
		remove_name(l, dir, name);
	return f;
}

static struct failure open_path(const struct service *s, struct listener *l,
				int64_t until)
{
	struct failure f;
	const char *name;
	int dir;

	if (directory_make_parents(s->socket, s->directory_mode) < 0)
		return failure("make the directory");
	dir = directory_open_parent(s->socket, &name);
	if (dir < 0)
		return failure("open the directory");
	sockpath_lock(dir);
	f = bind_at(s, l, dir, name, until);
	close(dir);
	return f;
}

static struct failure open_abstract(const struct service *s, struct listener *l)
{
	struct sockaddr_un sun;
	socklen_t len = unixsock_address(s->socket, &sun);
	struct stat st;

	if (bind(l->fd, (const struct sockaddr *)&sun, len) < 0 || fstat(l->fd, &st) < 0)
		return failure("bind");
	l->inode = st.st_ino; /* to recognize it, no more */
	return listen(l->fd, s->backlog) < 0 ? failure("listen") : SUCCESS;
}

struct failure listener_open(const struct service *s, struct listener *l, int64_t until)
{
	int on = s->pass_fds;
	struct failure f;

	*l = (struct listener){
		.fd = socket(AF_UNIX, s->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
		.since = clock_now(),
		.wd = -1,
		.dir_wd = -1};
	if (l->fd < 0)
		return failure("create a socket");
	/* Else a client could park descriptors here; older kernels do not know it. */
	(void)setsockopt(l->fd, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on));
	f = *s->socket == '@' ? open_abstract(s, l) : open_path(s, l, until);
	if (failed(f))
		listener_close(l);
	return f;
}

/* Whether the descriptor is a listening socket of this type. */
static bool is_listening(int fd, int type)
{
	int domain = 0, kind = 0, on = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &len) == 0 && kind == type &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static bool is_bound_to(int fd, const char *socket)
{
	struct sockaddr_un sun, wanted;
	char path[sizeof(sun.sun_path) + 1];
	socklen_t len = sizeof(sun), want = unixsock_address(socket, &wanted);

	memset(&sun, 0, sizeof(sun));
	if (getsockname(fd, (struct sockaddr *)&sun, &len) < 0)
		return false;
	if (*socket == '@')
		return len == want && memcmp(&sun, &wanted, want) == 0;
	snprintf(path, sizeof(path), "%.*s", (int)sizeof(sun.sun_path), sun.sun_path);
	return directory_is_same(path, socket);
}

int listener_adopt(const struct service *s, struct listener *l, int fd, bool own,
		   bool any_path)
{
	int on = s->pass_fds;

	if (!is_listening(fd, s->type) || (!any_path && !is_bound_to(fd, s->socket)))
		return -1;
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on));
	l->fd = fd;
	if (!own)
		l->since = clock_now();
	l->foreign = !own;
	l->hidden = l->stored = false;
	l->wd = l->dir_wd = -1;
	return 0;
}

/* The name of a listener's path in its directory. */
static const char *own_name(const struct listener *l, const char *name, char *space,
			    size_t size)
{
	if (!l->hidden)
		return name;
	snprintf(space, size, ".%s.udsd-%d", name, getpid());
	return space;
}

/* Whether the path is ours; *dir is its open directory, -1: none. */
static enum listener_state look_at(const struct service *s, const struct listener *l,
				   int *dir, const char **name, char space[NAME_MAX + 1])
{
	struct stat st;

	*dir = directory_open_parent(s->socket, name);
	if (*dir < 0)
		return LISTENER_GONE;
	*name = own_name(l, *name, space, NAME_MAX + 1);
	if (fstatat(*dir, *name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return LISTENER_GONE;
	return S_ISSOCK(st.st_mode) && is_same_inode(&st, l->device, l->inode)
		       ? LISTENER_OURS
		       : LISTENER_FOREIGN;
}

/* Whether its path is our affair. */
static bool has_path(const struct service *s, const struct listener *l)
{
	return *s->socket != '@' && !l->foreign;
}

enum listener_state listener_look(const struct service *s, const struct listener *l)
{
	char space[NAME_MAX + 1];
	enum listener_state state;
	const char *name;
	int dir;

	if (!has_path(s, l))
		return LISTENER_OURS;
	state = look_at(s, l, &dir, &name, space);
	if (dir >= 0)
		close(dir);
	return state;
}

struct failure listener_apply(const struct service *s, const struct listener *l)
{
	int on = s->pass_fds, dir, path = -1;
	struct failure f = SUCCESS;
	char space[NAME_MAX + 1];
	const char *name;
	struct stat st;

	if (l->foreign)
		return SUCCESS;
	if (has_path(s, l)) {
		if (look_at(s, l, &dir, &name, space) == LISTENER_OURS)
			path = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (path >= 0 && fstat(path, &st) == 0 &&
		    is_same_inode(&st, l->device, l->inode) &&
		    set_owner_and_mode(s, path) < 0)
			f = failure(set_owner_operation);
		if (dir >= 0)
			close(dir);
		if (path >= 0)
			close(path);
	}
	(void)setsockopt(l->fd, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on));
	if (!failed(f) && listen(l->fd, s->backlog) < 0)
		f = failure("listen");
	return f;
}

int listener_hide(const struct service *s, struct listener *l, bool hide)
{
	struct listener there = *l, here = *l;
	char space[2][NAME_MAX + 1];
	const char *name, *from, *to;
	int dir, rc, saved;

	if (!has_path(s, l) || l->hidden == hide)
		return 0;
	dir = directory_open_parent(s->socket, &name);
	if (dir < 0)
		return -1;
	there.hidden = hide;
	from = own_name(&here, name, space[0], sizeof(space[0]));
	to = own_name(&there, name, space[1], sizeof(space[1]));
	rc = renameat2(dir, from, dir, to, RENAME_NOREPLACE);
	saved = errno;
	if (rc == 0)
		l->hidden = hide;
	close(dir);
	errno = saved;
	return rc;
}

void listener_remove(const struct service *s, const struct listener *l)
{
	char space[NAME_MAX + 1];
	const char *name;
	int dir;

	if (!has_path(s, l))
		return;
	dir = directory_open_parent(s->socket, &name);
	if (dir < 0)
		return;
	remove_name(l, dir, own_name(l, name, space, sizeof(space)));
	close(dir);
}

void listener_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void listener_log(const struct service *s)
{
	if (s->handler == NULL)
		log_event(LOG_INFO, "listen", "control-socket", s->socket, NULL);
	else
		log_event(LOG_INFO, "listen", "service", s->name, "socket", s->socket,
			  NULL);
}

void listener_name(const struct listener *l, char name[LISTENER_NAME])
{
	snprintf(name, LISTENER_NAME, "udsd-%jx-%jx-%" PRId64, (uintmax_t)l->device,
		 (uintmax_t)l->inode, l->since);
}

bool listener_parse_name(const char *name, struct listener *l)
{
	uintmax_t device, inode;
	int64_t since;
	int end = 0;

	if (sscanf(name, "udsd-%" SCNxMAX "-%" SCNxMAX "-%" SCNd64 "%n", &device, &inode,
		   &since, &end) < 3 ||
	    name[end] != '\0')
		return false;
	l->since = since;
	l->device = (dev_t)device;
	l->inode = (ino_t)inode;
	return true;
}
