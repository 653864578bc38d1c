/* directory.h: makes and opens the directories above a path. */
#ifndef UDSD_DIRECTORY_H
#define UDSD_DIRECTORY_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Makes the missing directories above `path`. 0, or -1 and errno. */
int directory_make_parents(const char *path, mode_t mode);

/* The directory of a path, open; *name is what follows it. -1 and errno. */
int directory_open_parent(const char *path, const char **name);

/* Where a path leads, however it is written: the deepest directory above it that exists,
 * and what follows that. Its last name is never followed: it may be a symbolic link. */
struct directory_place {
	dev_t device;
	ino_t inode;
	char rest[PATH_MAX];
};

/* All zero for a path that is not absolute. */
void directory_find_place(const char *path, struct directory_place *place);

/* Whether two paths, or names in the abstract namespace, are the same; with few calls if
 * they are not. */
bool directory_is_same(const char *a, const char *b);

#endif
