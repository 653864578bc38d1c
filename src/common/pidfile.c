/*
 * pidfile.c: a locked file with our pid.
 */
#include "common/pidfile.h"

#include "common/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool pidfile_is_at(const char *path, int fd)
{
	struct stat open_file, named;

	return fstat(fd, &open_file) == 0 && lstat(path, &named) == 0 &&
	       open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

/* Whether the lock that is in our way is one that udsd takes. Anybody who may read the
 * file may hold a reader's lock. */
static bool is_udsd(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type != F_RDLCK;
}

/* A regular file of our own without further hard links, so that writing to it changes no
 * other file. */
static bool is_own(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       st.st_nlink <= 1;
}

/* Opens and locks. The holder removes the file when it ends, so what was locked may be
 * gone from its path by then: the caller looks. */
static int open_locked(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int saved, fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
			     0644);

	if (fd < 0)
		return -1;
	if (!is_own(fd)) {
		saved = EEXIST;
	} else if (fcntl(fd, F_SETLK, &lock) == 0) {
		return fd;
	} else if (errno != EACCES && errno != EAGAIN) {
		saved = errno;
	} else if (is_udsd(fd)) {
		saved = EWOULDBLOCK;
	} else {
		(void)unlink(path);
		return fd; /* which is not at its path any more */
	}
	close(fd);
	errno = saved;
	return -1;
}

int pidfile_take(const char *path)
{
	int saved, fd, tries = 0;

	if (directory_make_parents(path, 0755) < 0)
		return -1;
	fd = open_locked(path);
	while (fd >= 0 && !pidfile_is_at(path, fd) && tries++ < 10) {
		close(fd);
		fd = open_locked(path);
	}
	if (fd >= 0 && !pidfile_is_at(path, fd)) { /* replaced each time */
		close(fd);
		errno = EWOULDBLOCK;
		fd = -1;
	}
	if (fd < 0)
		return -1;
	if (ftruncate(fd, 0) == 0 && dprintf(fd, "%d\n", getpid()) > 0)
		return fd;
	saved = errno;
	pidfile_release(path, fd);
	errno = saved;
	return -1;
}

void pidfile_release(const char *path, int fd)
{
	if (pidfile_is_at(path, fd))
		(void)unlink(path);
	close(fd);
}

void pidfile_drop(int fd)
{
	char name[32], path[PATH_MAX];
	ssize_t len;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	len = readlink(name, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = '\0';
	pidfile_release(path, fd);
}
