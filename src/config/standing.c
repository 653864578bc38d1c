/*
 * standing.c: files, directories and live servers at a socket's path, and directories
 * that cannot be made.
 *
 * A socket that another udsd serves is no fault: `udsd -t` is used while udsd runs.
 */
#include "config/standing.h"

#include "common/unixsock.h"
#include "config/service.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a process serves it, asked without waking it: see sockpath.c. */
static bool is_served(const char *path)
{
	struct sockaddr_un sun;
	socklen_t len = unixsock_address(path, &sun);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = fd >= 0 ? connect(fd, (const struct sockaddr *)&sun, len) : -1;
	bool served = rc == 0 || errno == EPROTOTYPE;

	if (fd >= 0)
		close(fd);
	return served;
}

/* Whether a process has this abstract name: only bind() tells, for a moment. */
static bool is_taken(const struct service *s)
{
	struct sockaddr_un sun;
	socklen_t len = unixsock_address(s->socket, &sun);
	int fd = socket(AF_UNIX, s->type | SOCK_CLOEXEC, 0);
	bool taken = fd >= 0 && bind(fd, (const struct sockaddr *)&sun, len) < 0 &&
		     errno == EADDRINUSE;

	if (fd >= 0)
		close(fd);
	return taken;
}

/* The inodes (of sockets, not of paths) that are bound to this file, or (NULL) have this
 * abstract name, as `socket:[N]`; at most `max`. */
static size_t find_sockets(const char *name, const struct stat *file, char names[][32],
			   size_t max)
{
	FILE *f = fopen("/proc/net/unix", "re");
	char line[256], path[160];
	unsigned long inode;
	struct stat st;
	size_t n = 0;

	while (f != NULL && n < max && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%*x: %*x %*x %*x %*x %*x %lu %159[^\n]", &inode,
			   path) == 2 &&
		    (file == NULL ? strcmp(path, name) == 0
				  : *path == '/' && stat(path, &st) == 0 &&
					    st.st_dev == file->st_dev &&
					    st.st_ino == file->st_ino))
			snprintf(names[n++], 32, "socket:[%lu]", inode);
	if (f != NULL)
		fclose(f);
	return n;
}

/* Whether /proc/PID/exe is udsd, also one that has been replaced. */
static bool is_udsd(const char *pid)
{
	char path[64], exe[PATH_MAX], *name;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%.20s/exe", pid);
	len = readlink(path, exe, sizeof(exe) - 1);
	exe[len > 0 ? len : 0] = '\0';
	name = strrchr(exe, '/');
	return name != NULL && strncmp(name, "/udsd", 5) == 0 &&
	       (name[5] == '\0' || name[5] == ' ');
}

static bool has_socket(const char *pid, char names[][32], size_t count)
{
	char path[300], target[64];
	const struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir != NULL && !found && (e = readdir(dir)) != NULL) {
		ssize_t len =
			readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		target[len > 0 ? len : 0] = '\0';
		for (size_t i = 0; i < count; i++)
			found = found || strcmp(target, names[i]) == 0;
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

static bool is_served_by_udsd(const char *name, const struct stat *file)
{
	char names[8][32];
	size_t count = find_sockets(name, file, names, 8);
	DIR *proc = count > 0 ? opendir("/proc") : NULL;
	const struct dirent *e;
	bool found = false;

	while (proc != NULL && !found && (e = readdir(proc)) != NULL)
		found = isdigit((unsigned char)*e->d_name) && is_udsd(e->d_name) &&
			has_socket(e->d_name, names, count);
	if (proc != NULL)
		closedir(proc);
	return found;
}

/* The deepest directory above a path that exists, into `dir`: whether udsd may make
 * something in it; if not, errno. */
static bool may_make(const char *path, char dir[PATH_MAX])
{
	struct stat st;

	snprintf(dir, PATH_MAX, "%s", path);
	do {
		char *slash = strrchr(dir, '/');

		slash[slash == dir] = '\0';
		if (stat(dir, &st) == 0) {
			errno = ENOTDIR;
			return S_ISDIR(st.st_mode) && eaccess(dir, W_OK | X_OK) == 0;
		}
	} while (errno == ENOENT && strcmp(dir, "/") != 0);
	return false;
}

void standing_check(struct service *s, struct faults *faults)
{
	const char *option = s->handler != NULL ? "socket" : "control-socket";
	struct place at = service_place(s, option);
	char dir[PATH_MAX];
	struct stat st;

	if (!s->enabled)
		return;
	if (*s->socket == '@') {
		if (is_taken(s) && !is_served_by_udsd(s->socket, NULL))
			fault_problem(faults, &s->problem, PROBLEM_DISPLACED, option, at,
				      "%s %s: another process has this name: stop that, "
				      "or use another name",
				      option, s->socket);
		return;
	}
	if (lstat(s->socket, &st) < 0) {
		if (!may_make(s->socket, dir))
			fault_problem(faults, &s->problem, PROBLEM_FAILED, option, at,
				      "%s %s cannot be made in %s: %s", option, s->socket,
				      dir, strerror(errno));
		return;
	}
	if (!S_ISSOCK(st.st_mode))
		fault_problem(faults, &s->problem, PROBLEM_DISPLACED, option, at,
			      "%s %s: a %s is there, which is left alone: remove it, or "
			      "use another path",
			      option, s->socket,
			      S_ISDIR(st.st_mode)   ? "directory"
			      : S_ISLNK(st.st_mode) ? "symbolic link"
						    : "file that is no socket");
	else if (is_served(s->socket) && !is_served_by_udsd(s->socket, &st))
		fault_problem(faults, &s->problem, PROBLEM_DISPLACED, option, at,
			      "%s %s: another process serves it: stop that, or use "
			      "another path",
			      option, s->socket);
}
