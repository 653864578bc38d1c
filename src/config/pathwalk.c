/*
 * pathwalk.c: walks a path entry by entry, through links, and looks at the owner and mode
 * of each.
 */
#include "config/pathwalk.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a user other than root and `uid` could replace this entry of a directory, or
 * what is in it. */
static bool is_replaceable(const struct stat *st, uid_t uid)
{
	if (st->st_uid != 0 && st->st_uid != uid)
		return true;
	if (S_ISLNK(st->st_mode) || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX)))
		return false;
	return (st->st_mode & 022) != 0;
}

/* A path that is walked entry by entry, links included. */
struct path_walk {
	char done[PATH_MAX]; /* what was looked at, without a trailing slash */
	char rest[PATH_MAX]; /* what was not */
	int links;
};

static void walk_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash != NULL)
		*slash = '\0';
}

/* Goes on with what the link at `done` says. */
static bool walk_link(struct path_walk *w)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlink(w->done, target, sizeof(target) - 1);

	if (len < 0 || ++w->links > 40)
		return false;
	target[len] = '\0';
	if (snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= (int)sizeof(rest))
		return false;
	memcpy(w->rest, rest, sizeof(rest));
	if (*target == '/')
		*w->done = '\0';
	else
		walk_up(w->done);
	return true;
}

/* Takes the next name off `rest` and puts it behind `done`. False at the end. */
static bool walk_down(struct path_walk *w)
{
	const char *name = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(name, "/"), at = strlen(w->done);

	if (len == 0 || at + 1 + len >= sizeof(w->done))
		return false;
	if (len == 2 && memcmp(name, "..", 2) == 0) {
		walk_up(w->done);
	} else if (len != 1 || *name != '.') {
		w->done[at] = '/';
		memcpy(w->done + at + 1, name, len);
		w->done[at + 1 + len] = '\0';
	}
	memmove(w->rest, name + len, strlen(name + len) + 1);
	return true;
}

/* Walks to the end of a path: true if a part of it, left in w->done, could be replaced.
 * What is not there is left to the trial. */
static bool walk_replaceable(struct path_walk *w, uid_t uid)
{
	struct stat st;

	do {
		if (lstat(*w->done != '\0' ? w->done : "/", &st) < 0)
			return false;
		if (is_replaceable(&st, uid))
			return true;
		if (S_ISLNK(st.st_mode) && !walk_link(w))
			return false;
	} while (walk_down(w));
	return false;
}

const char *pathwalk_replaceable(const char *path, uid_t uid)
{
	static struct path_walk w;

	w = (struct path_walk){.links = 0};
	if (snprintf(w.rest, sizeof(w.rest), "%s", path) >= (int)sizeof(w.rest) ||
	    !walk_replaceable(&w, uid))
		return NULL;
	return *w.done != '\0' ? w.done : "/";
}
