/*
 * cmdpath.c: udsd leaves the directory it was started in, and reads its command line
 * again at a reload and an upgrade, so each path is made absolute once, at the start. A
 * result that is not the argument is allocated.
 */
#include "config/cmdpath.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CMDPATH_SYSTEM "/bin:/usr/bin" /* execvp's, where PATH is not set */

char *cmdpath_absolute(char *path)
{
	char dir[PATH_MAX], *whole;

	if (*path == '/' || *path == '@' || getcwd(dir, sizeof(dir)) == NULL)
		return path;
	return asprintf(&whole, "%s/%s", dir, path) < 0 ? path : whole;
}

/* Whether it may be executed; if not, errno is ENOENT or EACCES. */
static bool cmdpath_is_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		errno = errno == EACCES ? EACCES : ENOENT;
		return false;
	}
	errno = EACCES;
	return S_ISREG(st.st_mode) && eaccess(path, X_OK) == 0;
}

/* The program in the directory that `dirs`, a part of $PATH, begins with; an empty one is
 * the current one. */
static char *cmdpath_try(const char *dirs, size_t len, const char *name)
{
	char *path, *whole;

	if (asprintf(&path, "%.*s%s%s", (int)len, dirs, len > 0 ? "/" : "./", name) < 0)
		return NULL;
	if (!cmdpath_is_program(path)) {
		free(path);
		return NULL;
	}
	whole = cmdpath_absolute(path);
	if (whole != path)
		free(path);
	return whole;
}

char *cmdpath_program(char *name)
{
	const char *dirs = getenv("PATH");
	int error = ENOENT;

	if (strchr(name, '/') != NULL)
		return cmdpath_absolute(name);
	if (dirs == NULL)
		dirs = CMDPATH_SYSTEM;
	for (size_t len;; dirs += len + 1) {
		char *found;

		len = strcspn(dirs, ":");
		found = cmdpath_try(dirs, len, name);
		if (found != NULL)
			return found;
		if (errno != ENOENT)
			error = errno;
		if (dirs[len] == '\0')
			break;
	}
	errno = error;
	return NULL;
}

/* Puts a path in the place of a word of our own argv. */
static void cmdpath_put(char **word, char *path)
{
	if (path == *word)
		return;
	free(*word);
	*word = path;
}

int cmdpath_resolve(char **command)
{
	char *program;

	cmdpath_put(&command[0], cmdpath_absolute(command[0]));
	program = cmdpath_program(command[1]);
	if (program == NULL)
		return -1;
	cmdpath_put(&command[1], program);
	return 0;
}
