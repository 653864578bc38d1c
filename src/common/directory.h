/* directory.h: makes and opens the directories above a path. */
#ifndef UDSD_DIRECTORY_H
#define UDSD_DIRECTORY_H

#include <sys/types.h>

/* Makes the missing directories above `path`. 0, or -1 and errno. */
int directory_make_parents(const char *path, mode_t mode);

/* The directory of a path, open; *name is what follows it. -1 and errno. */
int directory_open_parent(const char *path, const char **name);

#endif
