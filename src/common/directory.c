/*
 * directory.c: makes and opens the directories above a path.
 */
#include "common/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int directory_make_parents(const char *path, mode_t mode)
{
	mode_t old = umask(0);
	char dir[PATH_MAX];
	int rc = 0;

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *c = strchr(dir + 1, '/'); c != NULL && rc == 0;
	     c = strchr(c + 1, '/')) {
		*c = '\0';
		if (mkdir(dir, mode) < 0 && errno != EEXIST) {
			int error = errno; /* of a file system that is read-only, say */

			rc = access(dir, F_OK);
			errno = error;
		}
		*c = '/';
	}
	umask(old);
	return rc;
}

int directory_open_parent(const char *path, const char **name)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	*name = slash + 1;
	return open(*dir != '\0' ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
