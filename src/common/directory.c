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

/* Puts a name in front of what follows the directory; . and nothing are no names. */
static void put_rest(struct directory_place *p, const char *name, size_t len)
{
	size_t old = strlen(p->rest);

	if (len == 0 || (len == 1 && *name == '.') || old + len + 2 > sizeof(p->rest))
		return;
	memmove(p->rest + len + 1, p->rest, old + 1);
	*p->rest = '/';
	memcpy(p->rest + 1, name, len);
}

void directory_find_place(const char *path, struct directory_place *p)
{
	size_t end = strlen(path);
	char dir[PATH_MAX];
	struct stat st;

	*p = (struct directory_place){0};
	if (*path != '/' || end >= sizeof(dir))
		return;
	do {
		size_t name = end;

		while (path[name - 1] != '/')
			name--;
		put_rest(p, path + name, end - name);
		for (end = name; end > 1 && path[end - 1] == '/';)
			end--;
		snprintf(dir, sizeof(dir), "%.*s", (int)end, path);
	} while (stat(dir, &st) < 0 && end > 1);
	p->device = st.st_dev;
	p->inode = st.st_ino;
}

bool directory_is_same(const char *a, const char *b)
{
	const char *name_a = strrchr(a, '/'), *name_b = strrchr(b, '/');
	struct directory_place x, y;

	if (strcmp(a, b) == 0)
		return true;
	if (*a != '/' || *b != '/' || strcmp(name_a, name_b) != 0)
		return false;
	directory_find_place(a, &x);
	directory_find_place(b, &y);
	return x.device == y.device && x.inode == y.inode && strcmp(x.rest, y.rest) == 0;
}
